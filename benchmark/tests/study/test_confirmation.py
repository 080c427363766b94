"""Mechanisms of seeds from 10 on are kept for the confirmation; spending it is recorded."""

import dataclasses
from pathlib import Path

import pytest

from loptbench.discovery import Availability, DiscoveredImplementation, oracle
from loptbench.engines.choice import make_engine
from loptbench.errors import LoptbenchError
from loptbench.optimizers import random_gru
from loptbench.results.frames import Contents
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.results.store import Store
from loptbench.storage.weights import Checkpoint, save_checkpoint, weights_hash
from loptbench.study.analyze import analyze
from loptbench.study.confirmation import is_kept, spend
from loptbench.study.parts import Part
from loptbench.study.run import Selection, measure
from loptbench.tests.fixture_types import Command
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.harness


def trained(seed: int) -> Checkpoint:
    meta_training = {"implementation": "reference", "configuration": {"seed": seed}}
    return Checkpoint(random_gru(2, 0), "rosenbrock", meta_training)


CHECKPOINTS = {"seen": trained(9), "new": trained(10), "newer": trained(19)}
NOTHING = Part("nothing", lambda _: False, lambda *_: False)


def selection(confirm: bool, **changes: object) -> Selection:
    reference = DiscoveredImplementation(
        "reference", "somewhere:Object", Availability.INSTALLED, implementation=oracle()
    )
    arguments = {"cross_checked": [], "confirm": confirm, **changes}
    return Selection([reference], CHECKPOINTS, load_tuned(), ["rosenbrock"], **arguments)  # type: ignore[arg-type]


def measured(confirm: bool) -> dict[TrialKind, set[str]]:
    """The learned optimizers of each kind of trial."""
    names: dict[TrialKind, set[str]] = {kind: set() for kind in TrialKind}
    for trial in selection(confirm).trials():
        if trial.key.optimizer.role is Role.CHECKPOINT:
            names[trial.key.trial].add(trial.key.optimizer.name)
    return names


def test_mechanisms_are_left_out_and_losses_are_measured() -> None:
    assert measured(confirm=False)[TrialKind.MECHANISMS] == {"seen"}
    assert measured(confirm=True)[TrialKind.MECHANISMS] == {*CHECKPOINTS}
    for confirm in (False, True):
        assert measured(confirm)[TrialKind.EVALUATION] == {*CHECKPOINTS}


def test_the_store_says_what_was_kept_and_when_it_was_spent(tmp_path: Path) -> None:
    with make_engine() as engine:
        kept = measure(tmp_path, selection(False, part=NOTHING), engine)
        store = Store.open(tmp_path)
        assert kept.kept == ["new", "newer"]
        assert store.plan().kept == ("new", "newer")  # type: ignore[union-attr]
        assert store.confirmation() is None
        assert measure(tmp_path, selection(True, part=NOTHING), engine).kept == []
        spent = store.confirmation()
        assert store.plan().kept is None  # type: ignore[union-attr]
        measure(tmp_path, selection(True, part=NOTHING), engine)
    assert spent is not None
    assert spent.optimizers == {
        name: weights_hash(CHECKPOINTS[name].optimizer) for name in ("new", "newer")
    }
    assert store.confirmation() == spent  # of the first time
    assert "2 learned optimizers with seeds from 10 on" in spent.in_words


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    (tmp_path / "confirmation.json").write_text("{")
    contents = Contents.of(store)
    assert contents.confirmation is None
    assert any("confirmation.json is damaged" in problem for problem in contents.problems)


def test_analyze_refuses_to_look_at_what_is_kept(tmp_path: Path, command: Command) -> None:
    with pytest.raises(LoptbenchError, match=r"kept for the confirmation.*--confirm"):
        analyze(CHECKPOINTS["new"])
    path = tmp_path / "mine.safetensors"
    save_checkpoint(CHECKPOINTS["new"], path)
    code, _, error = command("analyze", str(path))
    assert code != 0
    assert f"{path} was meta-trained with a seed from 10 on" in error
    assert analyze(path, n_problems=2, confirm=True).momentum is not None


def test_weights_without_their_checkpoint_are_kept_too() -> None:
    optimizer = shipped("quadratic-standard-jax-10").optimizer
    for same in (optimizer, optimizer.rounded_to("float32")):
        with pytest.raises(LoptbenchError, match="kept for the confirmation"):
            analyze(same)
    assert analyze(shipped("quadratic-quick-jax-0").optimizer, n_problems=2).momentum is not None


def test_other_weights_of_the_same_name_are_recorded_beside_the_first(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    first, second = random_gru(2, 0), random_gru(2, 1)
    for optimizer in (first, second, first):
        spend(store, {"new": dataclasses.replace(trained(10), optimizer=optimizer)})
    confirmation = store.confirmation()
    assert confirmation is not None
    assert confirmation.optimizers == {"new": weights_hash(first), "new (2)": weights_hash(second)}


def test_seeds_are_read_as_they_are() -> None:
    assert not is_kept(Checkpoint(random_gru(2, 0), "rosenbrock"))
    assert not is_kept(Checkpoint(random_gru(2, 0), "rosenbrock", {"configuration": {"seed": "x"}}))
