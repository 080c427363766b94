"""The shipped hyperparameters of the baselines."""

import dataclasses
import json

import pytest

from loptbench.optimizers import BASELINES
from loptbench.tasks import TASKS, definition, get_task
from loptbench.tests.tuning.scores import direct_score
from loptbench.tuning.ranges import RANGES
from loptbench.tuning.search import default_settings
from loptbench.tuning.tuned_file import EDGE_FRACTION, SHIPPED, load_tuned, shipped_path

NETWORKS = ("two_moons", "digits")


@pytest.mark.harness
@pytest.mark.parametrize("implementation", SHIPPED)
class TestShipped:
    def test_every_baseline_is_tuned_on_every_task(self, implementation: str) -> None:
        tuned = load_tuned(shipped_path(implementation))
        assert tuned.provenance["implementation"] == implementation
        assert {entry.task["task"] for entry in tuned.entries} == set(SHIPPED[implementation])
        for task in map(get_task, SHIPPED[implementation]):
            entries = tuned.of(task)
            assert [entry.kind for entry in entries] == list(BASELINES)
            for entry in entries:
                assert entry.task == definition(task)
                chosen = dataclasses.asdict(default_settings(task.name))
                assert dict(entry.settings) == json.loads(json.dumps(chosen))
                assert entry.settings["n_draws"] == 2500

    def test_no_optimum_lies_on_the_edge_of_its_range(self, implementation: str) -> None:
        for entry in load_tuned(shipped_path(implementation)).entries:
            for name, value in entry.hyperparameters.items():
                place = RANGES[entry.kind][name].place(value)
                assert EDGE_FRACTION <= place <= 1 - EDGE_FRACTION, (
                    f"{entry.kind} on {entry.task['task']}: {name}"
                )
            assert not entry.on_edge

    @pytest.mark.parametrize(
        "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in NETWORKS)) for n in sorted(TASKS)]
    )
    def test_scores_are_those_of_single_runs(self, implementation: str, name: str) -> None:
        task = get_task(name)
        if name not in SHIPPED[implementation]:
            pytest.skip(f"the shipped search in {implementation} was not on {name}")
        for entry in load_tuned(shipped_path(implementation)).of(task):
            if name in NETWORKS and entry.kind not in ("momentum", "adam"):
                continue  # these take seconds each, and other tests compare the frameworks
            chosen = default_settings(name)
            arguments = (entry.kind, dict(entry.hyperparameters), task, chosen)
            score = direct_score(*arguments)
            # RMSProp and Adam move by the sign of gradients that are nearly zero. Their scores are
            # therefore as uncertain as disturbances of the size of rounding make them.
            adaptive = entry.kind in ("rmsprop", "adam")
            sizes = (1e-15, -1e-15, 3e-15, -3e-15) if adaptive else ()
            spread = max(
                (abs(direct_score(*arguments, size) - score) for size in sizes), default=0.0
            )
            assert spread <= 0.02 * score
            assert abs(entry.score - score) <= 1e-6 * score + 3 * spread


def test_it_does_not_matter_which_framework_tuned() -> None:
    """The draws chosen by both frameworks have nearly equal scores."""
    first, second = (load_tuned(shipped_path(name)) for name in SHIPPED)
    for task in map(get_task, SHIPPED["torch"]):
        for ours, theirs in zip(first.of(task), second.of(task), strict=True):
            assert ours.kind == theirs.kind
            assert ours.score == pytest.approx(theirs.score, rel=5e-3), (task.name, ours.kind)
