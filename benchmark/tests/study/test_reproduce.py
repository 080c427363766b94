"""Reproducing from scratch: what is meta-trained, side by side, and what is there already."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from loptbench.engines.engine import Call, Chain, Prepared
from loptbench.engines.local import ThisProcess
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.results.store import Store
from loptbench.storage.weights import load_checkpoint, save_checkpoint
from loptbench.study import reproduce
from loptbench.study.reproduce import (
    Training,
    plan_trainings,
    reproduce_from_scratch,
    trainings_of_the_zoo,
)
from loptbench.study.run import Selection, Study
from loptbench.tasks import TASKS, Rosenbrock, Task
from loptbench.training import chain as training_chain
from loptbench.training.loop import NotFiniteError
from loptbench.training.settings import MetaTraining
from loptbench.tuning import searches
from loptbench.tuning.searches import plan_searches
from loptbench.tuning.tuned_file import Search
from loptbench.zoo.catalogue import zoo

pytestmark = pytest.mark.harness

CONFIG = MetaTraining(
    preset="tiny",
    task="rosenbrock",
    n_units=2,
    n_outer_steps=3,
    batch_size=2,
    n_steps=4,
    dtype="float64",
    validation_size=2,
)
FAULTLESS = "loptbench.tests.conformance.planted_faults:Faultless"


def trainings(*seeds: int, by: Iterable[str] = ("reference",)) -> list[Training]:
    return [Training(name, CONFIG.model_copy(update={"seed": n})) for name in by for n in seeds]


class Counting(ThisProcess):
    """Counts the chains of each run, and is interrupted before a call."""

    def __init__(self, n_calls: float = float("inf")) -> None:
        super().__init__()
        self.n_calls, self.n_chains = n_calls, list[int]()

    def run(self, chains: Iterable[Chain[Any]]) -> list[Any]:
        together = list(chains)
        self.n_chains.append(len(together))
        return super().run(together)

    def prepare(self, call: Call) -> Prepared:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise KeyboardInterrupt
        return super().prepare(call)


@pytest.fixture
def selections(monkeypatch: pytest.MonkeyPatch) -> list[Selection]:
    """What would be measured, after one small search; every call of long work is short."""
    measured: list[Selection] = []

    def plan_one(
        implementation: Any, tasks: Iterable[Task], _: object, **changes: Any
    ) -> list[Search]:
        return plan_searches(implementation, tasks, ["sgd"], n_problems=2, **changes)

    monkeypatch.setattr(reproduce, "measure", lambda _, selection, __: measured.append(selection))
    monkeypatch.setattr(reproduce, "plan_searches", plan_one)
    monkeypatch.setattr(training_chain, "SECONDS_OF_A_CALL", -1.0)
    monkeypatch.setattr(searches, "SECONDS_OF_A_CALL", -1.0)
    return measured


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_that_is_named_is_meta_trained_once() -> None:
    planned = plan_trainings(
        ["rosenbrock", "quadratic", "rosenbrock"],
        implementations=["jax", "torch"],
        presets=["quick", "paper"],
        architectures=["gru", "lstm"],
        seeds=[3, 10, 3],
        n_outer_steps=7,
    )
    names = [each.config.checkpoint_name(each.by) for each in planned]
    assert len(set(names)) == len(names) == 2 * 2 * 2 * 2 * 2
    assert names[:3] == [f"rosenbrock-quick-{by}" for by in ("jax-3", "jax-10", "torch-3")]
    assert names[-1] == "quadratic-paper-lstm-torch-10"
    assert {each.config.n_outer_steps for each in planned} == {7}
    with pytest.raises(UnknownNameError, match="unknown preset 'slow'"):
        plan_trainings(presets=["slow"])


def test_the_whole_zoo_is_meta_trained_with_its_own_settings() -> None:
    planned = trainings_of_the_zoo(["digits", "quadratic"], device="cpu")
    members = [member for member in zoo() if member.task in ("digits", "quadratic")]
    assert [each.config.checkpoint_name(each.by) for each in planned] == [m.name for m in members]
    assert {each.config.device for each in planned} == {"cpu"}


def test_trainings_and_searches_go_to_the_engine_together(
    selections: list[Selection], tmp_path: Path
) -> None:
    engine = Counting()
    by = ("reference", FAULTLESS)
    reproduce_from_scratch(tmp_path, trainings(0, 1, by=by), n_draws=12, engine=engine)
    made = [f"rosenbrock-tiny-{name}-{n}" for name in ("reference", "faultless") for n in (0, 1)]
    assert engine.n_chains == [len(made) + 1]
    before = files(tmp_path)
    assert before.keys() == {*(f"{name}.safetensors" for name in made), "tuned.json"}
    [selection] = selections
    assert list(selection.checkpoints) == made
    assert selection.cross_checked == made[:1]
    assert {"reference", "faultless"} <= {entry.name for entry in selection.implementations}
    assert [entry.kind for entry in selection.tuned.entries] == ["sgd"]
    # Called again with one seed more, only that is made.
    reproduce_from_scratch(tmp_path, trainings(0, 1, 10, by=by[:1]), n_draws=12, engine=engine)
    assert engine.n_chains[1:] == [1]
    after = files(tmp_path)
    assert after.keys() - before.keys() == {"rosenbrock-tiny-reference-10.safetensors"}
    assert {name: after[name] for name in before} == before
    newer = "rosenbrock-tiny-reference-10"
    assert list(selections[1].checkpoints) == [*made[:2], newer]
    # Its mechanisms are kept for the confirmation, until that is asked for.
    reproduce_from_scratch(
        tmp_path, trainings(0, 1, 10, by=by[:1]), n_draws=12, engine=engine, confirm=True
    )
    assert [each.kept for each in selections] == [[], [newer], []]


@pytest.mark.usefixtures("selections")
def test_an_interrupted_call_goes_on_from_what_is_there(tmp_path: Path) -> None:
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    reproduce_from_scratch(whole, trainings(0, 1), n_draws=12, engine=ThisProcess())
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            reproduce_from_scratch(interrupted, trainings(0, 1), n_draws=12, engine=Counting(2))
    assert "rosenbrock-tiny-reference-0.safetensors" in files(interrupted)
    reproduce_from_scratch(interrupted, trainings(0, 1), n_draws=12, engine=ThisProcess())
    assert files(interrupted) == files(whole)


def test_a_meta_training_that_fails_is_left_out_and_told(
    selections: list[Selection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(Store.create(tmp_path / "store"), [], [], [])

    def measure(_folder: Path, selection: Selection, _engine: Any) -> Study:
        selections.append(selection)
        return study

    monkeypatch.setattr(reproduce, "measure", measure)
    true_advance = training_chain.advance

    def advance(*arguments: Any) -> Any:
        if arguments[1].seed == 1:
            raise NotFiniteError("meta-gradients were not finite")
        return true_advance(*arguments)

    monkeypatch.setattr(training_chain, "advance", advance)
    for _ in range(2):  # called again, it tries again and does not make the others again
        found = reproduce_from_scratch(
            tmp_path, trainings(0, 1, 2), n_draws=12, engine=ThisProcess()
        )
        assert found.not_made == [
            "rosenbrock-tiny-reference-1 was not made: meta-gradients were not finite"
        ]
        assert found.n_failed == 1
        assert [*selections[-1].checkpoints] == [f"rosenbrock-tiny-reference-{n}" for n in (0, 2)]
    with pytest.raises(LoptbenchError, match="rosenbrock-tiny-reference-1 was not made"):
        reproduce_from_scratch(tmp_path / "alone", trainings(1), n_draws=12, engine=ThisProcess())


@pytest.mark.usefixtures("selections")
def test_files_of_another_task_or_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reproduce_from_scratch(tmp_path, trainings(0), n_draws=12, engine=ThisProcess())
    path = tmp_path / "rosenbrock-tiny-reference-0.safetensors"
    made = load_checkpoint(path)
    with monkeypatch.context() as patch:
        patch.setitem(TASKS, "rosenbrock", Rosenbrock(curvature=50.0))
        with pytest.raises(LoptbenchError, match="made on other settings or data of rosenbrock"):
            reproduce_from_scratch(tmp_path, trainings(0), n_draws=12, engine=ThisProcess())
    path.unlink()
    configuration = {**made.meta_training["configuration"], "warmth": 3}
    other = {**made.meta_training, "configuration": configuration}
    save_checkpoint(dataclasses.replace(made, meta_training=other), path)
    with pytest.raises(LoptbenchError, match="made by another version, which has other settings"):
        reproduce_from_scratch(tmp_path, trainings(0), n_draws=12, engine=ThisProcess())


def test_nothing_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoptbenchError, match="there is nothing to meta-train"):
        reproduce_from_scratch(tmp_path, [])


@pytest.mark.usefixtures("selections")
def test_what_would_have_the_same_name_is_refused(tmp_path: Path) -> None:
    path = "loptbench.implementations.reference.implementation:Implementation"
    with pytest.raises(LoptbenchError, match="two meta-trainings would make rosenbrock-tiny-refer"):
        reproduce_from_scratch(tmp_path, trainings(0, by=("reference", path)))
    assert not list(tmp_path.iterdir())
