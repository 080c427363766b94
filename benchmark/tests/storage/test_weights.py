"""Checkpoints: round trips, and refusals of damaged or foreign files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.optimizers import OptimizerSpec, fresh_gru, momentum, random_gru, sgd
from loptbench.storage.weights import (
    Checkpoint,
    load_checkpoint,
    read_safetensors,
    save_checkpoint,
    weights_hash,
)

pytestmark = pytest.mark.harness


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint on disk."""
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(Checkpoint(random_gru(3, 0, 0.5, 2.0), "quadratic", {"seed": 3}), path)
    return path


def rewritten(
    path: Path,
    arrays: Callable[[dict[str, Any]], object] = lambda _: None,
    metadata: Callable[[dict[str, str]], object] = lambda _: None,
) -> Path:
    """The checkpoint with its arrays or metadata changed in place."""
    contents, entries = read_safetensors(path)
    arrays(contents)
    metadata(entries)
    save_file(contents, path, entries)
    return path


def test_a_round_trip_changes_nothing(file: Path) -> None:
    checkpoint = load_checkpoint(file)
    original = random_gru(3, 0, 0.5, 2.0)
    assert checkpoint.task == "quadratic"
    assert checkpoint.meta_training == {"seed": 3}
    assert checkpoint.optimizer.constants == {"input_scale": 0.5, "output_scale": 2.0}
    assert checkpoint.sha256 == weights_hash(original)
    for name, array in original.parameters.items():
        loaded = checkpoint.optimizer.parameters[name]
        assert loaded.shape == array.shape
        assert np.array_equal(loaded, array)


def test_the_same_checkpoint_is_the_same_bytes(file: Path, tmp_path: Path) -> None:
    for i in range(3):
        copy = tmp_path / f"copy-{i}.safetensors"
        save_checkpoint(load_checkpoint(file), copy)
        assert copy.read_bytes() == file.read_bytes()


def test_the_hash_sees_every_change() -> None:
    spec = random_gru(3, 0)
    changed = dict(spec.parameters) | {"b": spec.parameters["b"] + 1e-15}
    hashes = {
        weights_hash(spec),
        weights_hash(spec.with_parameters(changed)),
        weights_hash(random_gru(3, 0, input_scale=2.0)),
        weights_hash(sgd(0.1)),
        weights_hash(momentum(0.1, 0.0)),
    }
    assert len(hashes) == 5


def test_nothing_is_overwritten(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(WeightsError, match="exists and is not overwritten"):
        save_checkpoint(Checkpoint(fresh_gru(2, 0), "quadratic"), file)
    assert file.read_bytes() == before


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoptbenchError, match="choose a folder that exists"):
        save_checkpoint(Checkpoint(fresh_gru(2, 0), "quadratic"), tmp_path / "no" / "file")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist; give the path"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="is a folder, not a file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
def test_truncated(file: Path, fraction: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(WeightsError, match="not a readable safetensors file; it may be truncated"):
        load_checkpoint(file)


def test_foreign(file: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": np.zeros(3)}, foreign)
    with pytest.raises(WeightsError, match="not a loptbench checkpoint"):
        load_checkpoint(foreign)
    foreign.write_text("PK something else")
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_checkpoint(foreign)


def test_newer_format(file: Path) -> None:
    rewritten(file, metadata=lambda entries: entries.update(format_version="2"))
    with pytest.raises(WeightsError, match="format version '2'; this loptbench reads 1"):
        load_checkpoint(file)


def test_wrong_convention(file: Path) -> None:
    rewritten(file, metadata=lambda entries: entries.update(convention="reset-after-product"))
    with pytest.raises(WeightsError, match="convention 'reset-after-product', but loptbench"):
        load_checkpoint(file)


@pytest.mark.parametrize("key", ["kind", "constants", "task", "meta_training", "sha256"])
def test_missing_metadata(file: Path, key: str) -> None:
    rewritten(file, metadata=lambda entries: entries.pop(key))
    with pytest.raises(WeightsError, match=f"has no '{key}' in its metadata"):
        load_checkpoint(file)


def test_unreadable_metadata(file: Path) -> None:
    rewritten(file, metadata=lambda entries: entries.update(constants="{"))
    with pytest.raises(WeightsError, match=r"metadata of .* cannot be read"):
        load_checkpoint(file)


def test_missing_and_extra_arrays(file: Path) -> None:
    rewritten(file, arrays=lambda contents: contents.update(W_x=contents.pop("W_z")))
    with pytest.raises(WeightsError, match="found: missing W_z and extra W_x"):
        load_checkpoint(file)


def test_a_missing_initial_state_is_named_too(file: Path) -> None:
    rewritten(file, arrays=lambda contents: contents.pop("h0"))
    with pytest.raises(WeightsError, match="found: missing h0"):
        load_checkpoint(file)


def test_misshapen(file: Path) -> None:
    rewritten(file, arrays=lambda contents: contents.update(a_r=np.zeros(4)))
    with pytest.raises(
        WeightsError, match=r"'a_r' of 'gru' must have shape \(3,\), but has \(4,\)"
    ):
        load_checkpoint(file)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(file: Path, value: float) -> None:
    rewritten(file, arrays=lambda contents: contents["W_c"].__setitem__((1, 2), value))
    with pytest.raises(WeightsError, match=r"'W_c' of 'gru' must be finite, but is .* at \(1, 2\)"):
        load_checkpoint(file)


def test_wrong_type(file: Path) -> None:
    rewritten(file, arrays=lambda contents: contents.update(w=np.zeros(3, np.float16)))
    with pytest.raises(WeightsError, match="'w' of 'gru' must be float32 or float64, not float16"):
        load_checkpoint(file)


def test_changed_since_it_was_written(file: Path) -> None:
    rewritten(file, arrays=lambda contents: contents["w"].__setitem__(0, 0.25))
    with pytest.raises(WeightsError, match="not those that were saved"):
        load_checkpoint(file)


def test_unknown_kind(file: Path) -> None:
    rewritten(file, metadata=lambda entries: entries.update(kind="lion"))
    with pytest.raises(
        WeightsError, match="unknown optimizer kind 'lion'; known are: adam, composed"
    ):
        load_checkpoint(file)


def test_constants_must_be_finite_numbers(file: Path) -> None:
    constants = json.dumps({"input_scale": float("nan"), "output_scale": 1.0})
    rewritten(file, metadata=lambda entries: entries.update(constants=constants))
    with pytest.raises(WeightsError, match="'input_scale' of 'gru' must be finite"):
        load_checkpoint(file)


def test_an_optimizer_is_validated_when_it_is_made() -> None:
    with pytest.raises(LoptbenchError, match="found: missing beta"):
        OptimizerSpec("momentum", {"alpha": np.asarray(0.1)})
    with pytest.raises(LoptbenchError, match="the constants of 'sgd' are none"):
        OptimizerSpec("sgd", {"alpha": np.asarray(0.1)}, {"beta": 0.9})
