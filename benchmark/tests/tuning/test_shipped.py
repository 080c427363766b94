"""The shipped hyperparameters of the baselines."""

import dataclasses
import json

import pytest

from loptbench.optimizers import BASELINES, SCHEDULED
from loptbench.tasks import TASKS, definition, get_task
from loptbench.tests.tuning.scores import direct_score
from loptbench.tuning.search import default_settings
from loptbench.tuning.tuned_file import SHIPPED, load_tuned, shipped_path

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
            assert not entry.on_edge, f"{entry.kind} on {entry.task['task']}"

    def test_a_schedule_is_tuned_for_every_baseline(self, implementation: str) -> None:
        if implementation != "jax":
            pytest.skip("the searches in PyTorch are for comparison, without schedules")
        entries = load_tuned(shipped_path(implementation)).entries
        tuned = {(entry.task["task"], entry.kind) for entry in entries if entry.kind in SCHEDULED}
        assert tuned == {(task, kind) for task in TASKS for kind in SCHEDULED}

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
