"""Seeds meta-trained as one batch: the same results, resuming and errors as one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.storage.weights import save_checkpoint
from loptbench.tests.conformance.planted_base import SideBySide
from loptbench.tests.training.test_meta_training import CONFIG
from loptbench.training.chain import meta_train, meta_train_side_by_side
from loptbench.training.loop import MAX_CONSECUTIVE_SKIPPED, require_meta_training

pytestmark = pytest.mark.harness

SEEDS = (4, 0, 2)


def outputs(folder: Path) -> dict[int, Path]:
    return {seed: folder / f"{seed}.safetensors" for seed in SEEDS}


class Stopping(SideBySide):
    """Raises KeyboardInterrupt after `n` outer steps."""

    def __init__(self, n: int) -> None:
        self.n_left = n

    def outer_steps(self, *arguments: Any) -> Any:
        self.n_left -= 1
        if self.n_left < 0:
            raise KeyboardInterrupt
        return super().outer_steps(*arguments)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    paths = outputs(tmp_path_factory.mktemp("undisturbed"))
    meta_train_side_by_side(SideBySide(), CONFIG, paths)
    return {seed: path.read_bytes() for seed, path in paths.items()}


def test_each_is_what_it_is_alone(tmp_path: Path) -> None:
    together = meta_train_side_by_side(SideBySide(), CONFIG, outputs(tmp_path))
    for seed, checkpoint in zip(SEEDS, together, strict=True):
        config = CONFIG.model_copy(update={"seed": seed})
        alone = meta_train(Reference(), config, tmp_path / f"alone-{seed}.safetensors")
        for name, value in alone.optimizer.parameters.items():
            np.testing.assert_array_equal(checkpoint.optimizer.parameters[name], value)
        assert checkpoint.meta_training == {**alone.meta_training, "side_by_side": list(SEEDS)}


@pytest.mark.parametrize("at", [0, 4, 12])
def test_stopped_and_resumed_they_end_with_the_same_bytes(
    tmp_path: Path, undisturbed: dict[int, bytes], at: int
) -> None:
    paths = outputs(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        meta_train_side_by_side(Stopping(at), CONFIG, paths)
    assert not any(path.exists() for path in paths.values())
    meta_train_side_by_side(SideBySide(), CONFIG, paths)
    assert {seed: path.read_bytes() for seed, path in paths.items()} == undisturbed
    assert sorted(path.name for path in tmp_path.glob("*.partial")) == []


def test_killed_between_two_outputs_it_writes_the_rest(
    tmp_path: Path, undisturbed: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = outputs(tmp_path)

    def save_or_interrupt(checkpoint: Any, path: Path) -> None:
        if path == paths[SEEDS[1]]:
            raise KeyboardInterrupt
        save_checkpoint(checkpoint, path)

    with monkeypatch.context() as patch:
        patch.setattr("loptbench.training.chain.save_checkpoint", save_or_interrupt)
        with pytest.raises(KeyboardInterrupt):
            meta_train_side_by_side(SideBySide(), CONFIG, paths)
    assert [path.exists() for path in paths.values()] == [True, False, False]
    meta_train_side_by_side(SideBySide(), CONFIG, paths)
    assert {seed: path.read_bytes() for seed, path in paths.items()} == undisturbed


class OneBreaks(SideBySide):
    """Reports an objective of NaN for the second seed from outer step `first` to `last`."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.calls = first, last, 0

    def outer_steps(self, *arguments: Any) -> Any:
        self.calls += 1
        steps = super().outer_steps(*arguments)
        if self.first <= self.calls <= self.last:
            steps[1] = steps[1][0], float("nan")
        return steps


def test_skipped_steps_are_counted_seed_by_seed(tmp_path: Path) -> None:
    checkpoints = meta_train_side_by_side(OneBreaks(3, 5), CONFIG, outputs(tmp_path))
    assert [checkpoint.meta_training["skipped_outer_steps"] for checkpoint in checkpoints] == [
        0,
        3,
        0,
    ]


def test_many_in_a_row_stop_the_run_and_name_the_seed(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"n_outer_steps": 100})
    message = f"{MAX_CONSECUTIVE_SKIPPED} outer steps in a row.* with seed {SEEDS[1]};"
    with pytest.raises(LoptbenchError, match=message):
        meta_train_side_by_side(OneBreaks(3, 100), config, outputs(tmp_path))


def test_an_output_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    paths = outputs(tmp_path)
    paths[SEEDS[2]].write_text("precious")
    with pytest.raises(WeightsError, match="exists and is not overwritten"):
        meta_train_side_by_side(SideBySide(), CONFIG, paths)
    assert paths[SEEDS[2]].read_text() == "precious"


@pytest.mark.parametrize("together", [True, False])
def test_a_file_of_another_training_is_not_taken_for_theirs(tmp_path: Path, together: bool) -> None:
    paths = outputs(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        meta_train_side_by_side(Stopping(5), CONFIG, paths)
    # The same seed with other settings, or the same settings but alone.
    config = CONFIG.model_copy(update={"seed": SEEDS[2], "n_units": 3 if together else 4})
    meta_train(Reference(), config, paths[SEEDS[2]])
    with pytest.raises(WeightsError, match="exists and is not overwritten"):
        meta_train_side_by_side(SideBySide(), CONFIG, paths)
    paths[SEEDS[2]].unlink()
    meta_train_side_by_side(SideBySide(), CONFIG, paths)  # nothing was lost


def test_a_file_that_appears_meanwhile_is_not_taken_for_theirs(
    tmp_path: Path, undisturbed: dict[int, bytes]
) -> None:
    paths = outputs(tmp_path)
    last = paths[SEEDS[2]]

    class Disturbed(SideBySide):
        def outer_steps(self, *arguments: Any) -> Any:
            if not last.exists():
                config = CONFIG.model_copy(update={"seed": SEEDS[2], "n_outer_steps": 1})
                meta_train(Reference(), config, last)
            return super().outer_steps(*arguments)

    with pytest.raises(WeightsError, match="exists and is not overwritten"):
        meta_train_side_by_side(Disturbed(), CONFIG, paths)
    last.unlink()
    meta_train_side_by_side(SideBySide(), CONFIG, paths)
    assert {seed: path.read_bytes() for seed, path in paths.items()} == undisturbed


def test_other_seeds_do_not_go_on_from_there(tmp_path: Path) -> None:
    paths = outputs(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        meta_train_side_by_side(Stopping(5), CONFIG, paths)
    del paths[SEEDS[2]]
    with pytest.raises(LoptbenchError, match="holds a meta-training of another configuration"):
        meta_train_side_by_side(SideBySide(), CONFIG, paths)


def test_an_implementation_without_it_says_so() -> None:
    with pytest.raises(LoptbenchError, match="does not meta-train several seeds side by side"):
        require_meta_training(Reference(), CONFIG, side_by_side=True)
    require_meta_training(SideBySide(), CONFIG, side_by_side=True)
