"""Architectures from outside: found, computed in the frameworks whose cell they bring, refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.conformance import CheckStatus, run_check
from loptbench.conformance.selection import Selection, selected_pairs
from loptbench.discovery import get_implementation, oracle
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers import ARCHITECTURES, KINDS, fresh, get_architecture, kinds, random
from loptbench.storage.weights import Checkpoint, load_checkpoint, save_checkpoint
from loptbench.training.run import meta_train

pytestmark = pytest.mark.harness

PLACE = "loptbench.tests.optimizers.elman"


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Architectures from outside that the environment variable names; forgotten afterwards."""
    named = ",".join(f"{PLACE}:{name}" for name in ("ELMAN", "NUMPY_ONLY", "TORCH_ONLY"))
    monkeypatch.setenv(kinds.VARIABLE, named)
    before = set(ARCHITECTURES)
    yield
    for name in set(ARCHITECTURES) - before:
        del ARCHITECTURES[name], KINDS[name]
    kinds._imported.clear()


def failures(implementation: Any, checks: list[str], optimizer: str) -> list[str]:
    chosen = Selection(only=checks, optimizers=[optimizer], dtypes=["float64"])
    pairs = selected_pairs(implementation, chosen, seed=7)
    assert {check.name for check, _ in pairs} == set(checks)
    outcomes = [run_check(check, subject) for check, subject in pairs]
    assert all(outcome.status is not CheckStatus.SKIPPED for outcome in outcomes)
    return [outcome.message for outcome in outcomes if outcome.status is CheckStatus.FAILED]


@pytest.mark.usefixtures("outside")
def test_a_numpy_cell_is_computed_by_the_reference_in_all_levels() -> None:
    """Held to differences, which know only its step."""
    checks = ["linearize-differences", "gain", "drive", "meta-gradient-differences"]
    assert failures(oracle(), checks, "random elman") == []


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_cell_of_a_framework_is_computed_there(name: str) -> None:
    pytest.importorskip(name)
    checks = ["initial-state", "one-step", "native-unroll", "drive", "linearize", "gain"]
    checks += ["meta-gradient"]
    assert failures(get_implementation(name), checks, "random elman") == []


@pytest.mark.usefixtures("outside")
def test_without_a_cell_it_is_not_offered() -> None:
    assert "numpy_elman" in oracle().optimizers
    assert "torch_elman" not in oracle().optimizers
    with pytest.raises(LoptbenchError, match="brings no cell for it"):
        meta_train("quadratic", "reference", architecture="torch_elman", dtype="float64")
    torch = pytest.importorskip("torch") and get_implementation("torch")
    assert "numpy_elman" not in torch.optimizers
    with pytest.raises(LoptbenchError, match="brings no cell for the reference"):
        selected_pairs(torch, Selection(optimizers=["torch_elman"]), seed=7)


@pytest.mark.usefixtures("outside")
def test_an_architecture_of_ones_own_is_meta_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(kinds.VARIABLE, "")
    short: dict[str, Any] = {
        "batch_size": 2,
        "n_steps": 3,
        "validation_size": 2,
        "n_outer_steps": 1,
        "n_units": 2,
    }
    own = f"{PLACE}:ELMAN"
    meta_train(
        "rosenbrock", "reference", architecture=own, preset="quick", dtype="float64", **short
    )
    checkpoint = load_checkpoint(tmp_path / "rosenbrock-own-elman-reference-0.safetensors")
    assert (checkpoint.optimizer.kind, checkpoint.optimizer.n_state) == ("elman", 2)


def test_a_file_of_an_unknown_architecture_is_refused(outside: None, tmp_path: Path) -> None:
    get_architecture("elman")
    path = tmp_path / "elman.safetensors"
    save_checkpoint(Checkpoint(fresh("elman", 2, 0), "quadratic"), path)
    del ARCHITECTURES["elman"], KINDS["elman"]
    kinds._imported.update(kinds._named())
    with pytest.raises(LoptbenchError, match="unknown optimizer kind 'elman'"):
        load_checkpoint(path)


@pytest.mark.usefixtures("outside")
def test_what_is_no_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="unknown architecture 'transformer'; known are: el"):
        get_architecture("transformer")
    with pytest.raises(LoptbenchError, match="elman:shapes is a function, not a loptbench"):
        get_architecture(f"{PLACE}:shapes")
    monkeypatch.setenv(kinds.VARIABLE, "no_such_module:X")
    with pytest.raises(LoptbenchError, match="LOPTBENCH_ARCHITECTURES names no_such_module:X: the"):
        kinds.import_architectures()


@pytest.mark.parametrize("name", ["gru", "lstm", "log_lstm"])
def test_the_state_starts_at_the_parameters_that_are_named(name: str) -> None:
    spec = random(name, 5, 0)
    start = np.concatenate([spec.parameters[part] for part in get_architecture(name).starts])
    assert spec.n_state == start.size
    assert np.array_equal(oracle().optimizer(spec, "float64", "cpu").initial_state(1)[0], start)


def test_a_fresh_lstm_remembers() -> None:
    parameters = fresh("lstm", 4, 0).parameters
    assert np.array_equal(parameters["b_f"], np.ones(4))
    assert not any(parameters[name].any() for name in ("b_i", "b_o", "b_u", "w", "b", "h0", "c0"))
    assert fresh("log_lstm", 4, 0).parameters["a_i"].shape == (4, 2)
