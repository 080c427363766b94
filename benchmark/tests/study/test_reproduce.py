"""Reproducing from scratch: what is meta-trained, side by side, and what is there already."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from loptbench.engines.engine import Call, Chain, Prepared
from loptbench.engines.local import ThisProcess
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.study import reproduce
from loptbench.study.reproduce import (
    Training,
    plan_trainings,
    reproduce_from_scratch,
    trainings_of_the_zoo,
)
from loptbench.study.run import Selection
from loptbench.tasks import Task
from loptbench.training import chain as training_chain
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


@pytest.mark.usefixtures("selections")
def test_what_would_have_the_same_name_is_refused(tmp_path: Path) -> None:
    path = "loptbench.implementations.reference.implementation:Implementation"
    with pytest.raises(LoptbenchError, match="two meta-trainings would make rosenbrock-tiny-refer"):
        reproduce_from_scratch(tmp_path, trainings(0, by=("reference", path)))
    assert not list(tmp_path.iterdir())
