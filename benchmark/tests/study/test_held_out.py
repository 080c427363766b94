"""The held-out problems of evaluations: how many, in which arithmetic, and what that changes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loptbench.discovery import Availability, DiscoveredImplementation, get_implementation
from loptbench.optimizers import random_gru
from loptbench.results.schema.evaluation import BaselinesResult, LearnedResult
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.rollout import held_out as table
from loptbench.rollout.evaluation import evaluate
from loptbench.rollout.held_out import PAPER, HeldOut, held_out
from loptbench.storage.weights import Checkpoint
from loptbench.study.arithmetic import NEGLIGIBLE, changes
from loptbench.study.evaluation import evaluation_trials
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS, get_task
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

REFERENCE = DiscoveredImplementation(
    "reference", "here", Availability.INSTALLED, implementation=get_implementation("reference")
)


def offering(name: str, *dtypes: str, tasks: Any = tuple(TASKS), kinds: Any = ("gru",)) -> Any:
    implementation = SimpleNamespace(name=name, dtypes=dtypes, tasks=tasks, optimizers=kinds)
    return SimpleNamespace(name=name, implementation=implementation)


def trained_by(name: str, task: str = "quadratic") -> Checkpoint:
    return Checkpoint(random_gru(2, 0), task, meta_training={"implementation": name})


def evaluations(checkpoints: dict[str, Checkpoint], *judged: str) -> list[Trial]:
    return list(evaluation_trials(REFERENCE, checkpoints, judged, load_tuned(), 0, ["quadratic"]))


@pytest.mark.harness
def test_every_task_has_its_number_of_problems() -> None:
    both = offering("both", "float32", "float64").implementation
    sizes = {task: held_out(task, both).n_problems for task in TASKS}
    assert sizes == {"quadratic": 4096, "rosenbrock": 4096, "two_moons": 512, "digits": 512}
    assert held_out("a task of one's own", both) == HeldOut(512, "float64")


@pytest.mark.harness
def test_an_implementation_without_float32_is_not_asked_for_it() -> None:
    assert held_out("quadratic", offering("x", "float32", "float64").implementation).dtype == (
        "float32"
    )
    only = held_out("quadratic", offering("x", "float64").implementation)
    assert (only.n_problems, only.dtype) == (4096, "float64")


@pytest.mark.harness
def test_verdicts_rest_on_all_problems_and_cross_checks_on_the_papers() -> None:
    checkpoints = {"mine": trained_by("reference"), "other": trained_by("jax")}
    sizes = {
        trial.key.optimizer.name: trial.key.n_problems for trial in evaluations(checkpoints, "mine")
    }
    assert sizes == {"baselines": 4096, "mine": 4096, "other": PAPER}
    sizes = {trial.key.optimizer.name: trial.key.n_problems for trial in evaluations(checkpoints)}
    assert sizes == {"baselines": PAPER, "mine": PAPER, "other": PAPER}


@pytest.mark.harness
@pytest.mark.parametrize("changed", [HeldOut(8, "float32"), HeldOut(9, "float64")])
def test_the_key_knows_the_number_of_problems_and_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch, changed: HeldOut
) -> None:
    monkeypatch.setattr(type(REFERENCE.implementation), "dtypes", ("float32", "float64"))
    names = []
    for chosen in (HeldOut(8, "float64"), changed):
        monkeypatch.setattr(table, "HELD_OUT", {"quadratic": chosen})
        trials = evaluation_trials(
            REFERENCE, {"mine": trained_by("reference")}, ["mine"], load_tuned(), 0, ["quadratic"]
        )
        (trial,) = (trial for trial in trials if trial.key.optimizer.role is Role.CHECKPOINT)
        assert (trial.key.n_problems, trial.key.dtype) == (chosen.n_problems, chosen.dtype)
        names.append(trial.key.name)
    assert names[0] != names[1]


@pytest.mark.harness
def test_a_cross_check_is_compared_on_the_problems_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "HELD_OUT", {"quadratic": HeldOut(6, "float32")})
    monkeypatch.setattr("loptbench.study.evaluation.PAPER", 4)
    checkpoints = {"mine": trained_by("reference"), "other": trained_by("jax")}
    planned = plan([REFERENCE], checkpoints, load_tuned(), 0, ["quadratic"])
    results = {
        trial.key.optimizer.name: trial.run()[2]
        for trial in planned
        if trial.key.trial is TrialKind.EVALUATION
    }
    baselines, mine = results["baselines"], results["mine"]
    assert isinstance(baselines, BaselinesResult)
    assert isinstance(mine, LearnedResult)
    assert {evaluation.n_problems for evaluation in baselines.baselines.values()} == {6}
    assert {ratios.n_problems for ratios in mine.ratios.values()} == {6}
    # Both are judged by the reference, which alone takes part; as a cross-check it has fewer.
    (*_, trial) = evaluations(checkpoints, "mine")
    status, message, other = trial.run()
    assert isinstance(other, LearnedResult), (status, message)
    assert {ratios.n_problems for ratios in other.ratios.values()} == {4}


@pytest.mark.parametrize(
    "name", ["quadratic-quick-jax-0", "quadratic-quick-torch-0", "two_moons-quick-jax-0"]
)
def test_float32_changes_nothing_about_learned_optimizers(name: str) -> None:
    """Of a few problems, whose intervals are wider; `loptbench statistics float32` has all."""
    shares = _shares(name, shipped(name).task, 64 if name.startswith("quadratic") else 4)
    assert max(shares.values()) < NEGLIGIBLE, shares


def test_float32_changes_rmsprop_so_baselines_are_run_in_float64() -> None:
    assert _shares("rmsprop", "quadratic", 512)["median"] > NEGLIGIBLE


def _shares(name: str, task_name: str, n_problems: int) -> dict[str, float]:
    """The change of each statistic over the width of its interval."""
    pytest.importorskip("torch")  # a framework takes part: these tests are not of the harness
    task, tuned = get_task(task_name), load_tuned()
    specs = {entry.kind: entry.spec for entry in tuned.of(task)}
    batch = task.sample("evaluate", 0, range(n_problems))

    def objective(optimizer: str, dtype: str) -> Any:
        spec = specs[optimizer] if optimizer in specs else shipped(optimizer).optimizer
        return evaluate(
            get_implementation("torch"), spec.rounded_to(dtype), batch, task.n_steps, dtype
        ).objective

    in_float32, in_float64 = objective(name, "float32"), objective(name, "float64")
    assert not np.array_equal(in_float32, in_float64)
    found = changes(name, "torch", in_float32, in_float64, objective("adam", "float64"))
    return {change.statistic: change.share for change in found}
