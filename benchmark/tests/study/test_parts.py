"""The parts of the benchmark: a small one is a part of a large one."""

import functools

import pytest

from loptbench.discovery import Availability, DiscoveredImplementation, get_implementation
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.study.parts import DEFAULT, FULL, PARTS, QUICK, SMALL_TASKS, Part, Planned
from loptbench.study.run import Selection, run, select_checkpoints
from loptbench.tasks import TASKS
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import names, representatives, zoo

pytestmark = pytest.mark.harness


@functools.cache
def keys(name: str, implementations: tuple[str, ...] = ("reference",)) -> list[TrialKey]:
    """The trials of a part; one implementation measures all learned optimizers, several theirs."""
    part = PARTS[name]
    entries = [
        DiscoveredImplementation(
            other, "", Availability.INSTALLED, implementation=get_implementation(other)
        )
        for other in implementations
    ]
    chosen = select_checkpoints(part.checkpoints(TASKS))
    shared = representatives(SMALL_TASKS) if len(entries) > 1 else [*chosen]
    selection = Selection(entries, chosen, load_tuned(), list(TASKS), shared, part=part)
    return [trial.key for trial in selection.trials()]


def test_the_default_part_is_a_part_of_all() -> None:
    """But for evaluations on the networks, nothing is measured again from one to the other."""
    everything = {key.name for key in keys(FULL.name)}
    default = keys(DEFAULT.name)
    others = [key for key in default if key.name not in everything]
    assert len(others) < len(default) < len(everything)
    assert {key.trial for key in others} == {TrialKind.EVALUATION}
    assert {key.task for key in others} == {"two_moons", "digits"}
    assert {key.n_problems for key in others} == {128}


def test_all_is_the_whole_zoo() -> None:
    assert FULL.checkpoints(TASKS) == names()


@pytest.mark.parametrize("part", [QUICK, DEFAULT])
def test_every_framework_has_a_seed_on_every_task(part: Part) -> None:
    chosen = part.checkpoints(TASKS)
    wanted = {(member.task, member.implementation) for member in zoo()}
    assert {(m.task, m.implementation) for m in zoo() if m.name in chosen} == wanted


def test_the_quick_part_is_small_and_has_every_kind_of_trial() -> None:
    quick = keys(QUICK.name)
    assert {key.trial for key in quick} == set(TrialKind)
    assert {key.task for key in quick} == set(TASKS)
    assert max(key.n_problems or 0 for key in quick if key.trial is TrialKind.EVALUATION) == 128
    assert len(quick) < len(keys(DEFAULT.name)) / 2


def test_the_default_part_has_no_mechanisms_of_baselines_on_networks() -> None:
    left = {
        key.task
        for key in keys(DEFAULT.name)
        if key.trial is TrialKind.MECHANISMS and key.optimizer.role is Role.TUNED
    }
    assert left == {"quadratic", "rosenbrock"}


@pytest.mark.parametrize("part", [QUICK, DEFAULT])
@pytest.mark.parametrize("order", [("jax", "reference", "torch"), ("torch", "reference", "jax")])
def test_one_implementation_measures_on_the_networks(part: Part, order: tuple[str, ...]) -> None:
    """The first that meta-trained a checkpoint there, whatever else is installed."""
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    measured = {
        (key.task, key.implementation)
        for key in keys(part.name, order)
        if key.trial is not TrialKind.CONFORMANCE and key.task not in SMALL_TASKS
    }
    assert measured == {("two_moons", order[0]), ("digits", order[0])}
    others = {"reference", *order[2:]}
    assert others <= {key.implementation for key in keys(part.name, order)}
    everything = [key for key in keys(FULL.name, order) if key.task not in SMALL_TASKS]
    assert {key.implementation for key in everything} == set(order)


def test_the_default_part_checks_in_float32_the_learned_optimizers_of_the_small_tasks() -> None:
    pytest.importorskip("torch")
    checks = [
        key
        for key in keys(DEFAULT.name, ("reference", "torch"))
        if key.trial.value == "conformance"
    ]
    in_float32 = [key for key in checks if key.dtype == "float32"]
    assert {key.task for key in in_float32} == set(SMALL_TASKS)
    assert {key.optimizer.name for key in in_float32} == {
        "random gru",
        "quadratic-quick-jax-0",
        "rosenbrock-quick-jax-0",
    }
    # In float64 every kind is checked, and every task, but for the oracle's checks of itself.
    everything = [key for key in keys(FULL.name, ("reference", "torch")) if key in checks]
    assert {key.name for key in everything if key.dtype == "float64"} == {
        key.name for key in checks if key.dtype == "float64"
    }
    assert {key.task for key in checks if key.implementation == "torch"} == set(TASKS)
    assert {key.task for key in checks if key.implementation == "reference"} == set(SMALL_TASKS)


def test_checks_in_float32_alone_are_kept() -> None:
    """Of an implementation without float64."""
    key = next(key for key in keys(FULL.name) if key.trial is TrialKind.CONFORMANCE)
    only = key.model_copy(update={"implementation": "mine", "task": "digits", "dtype": "float32"})
    assert DEFAULT.keeps(only, Planned.of([only]))
    both = only.model_copy(update={"dtype": "float64"})
    assert not DEFAULT.keeps(only, Planned.of([only, both]))


def test_tasks_limit_a_part() -> None:
    assert QUICK.checkpoints(["digits"]) == ["digits-quick-jax-0", "digits-quick-torch-0"]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown part 'all'; known are: default, full"):
        run("never-made", part="all")
    assert set(PARTS) == {"quick", "default", "full"}


def test_checkpoints_of_ones_own_are_evaluated_on_all_problems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    selected: list[Selection] = []
    monkeypatch.setattr(
        "loptbench.study.run.measure", lambda _, selection, *__: selected.append(selection)
    )
    run("never-made", implementations=["reference"], checkpoints=["digits-quick-jax-0"])
    run("never-made", implementations=["reference"], tasks=["digits"])
    own, default = ([trial.key for trial in selection.trials()] for selection in selected)
    assert {
        k.n_problems for k in own if k.trial is TrialKind.EVALUATION and k.task == "digits"
    } == {512}
    assert not [k for k in default if k.trial is TrialKind.EVALUATION]


def test_checkpoints_of_tasks_that_are_left_out_are_refused() -> None:
    message = "digits-quick-jax-0 was meta-trained on digits, which is not among the tasks"
    with pytest.raises(LoptbenchError, match=message):
        run("never-made", checkpoints=["digits-quick-jax-0"], tasks=["quadratic", "rosenbrock"])
