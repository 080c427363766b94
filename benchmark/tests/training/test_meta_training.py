"""The outer loop: resuming, the best checkpoint, skipped steps, rollbacks, refusals."""

import contextlib
import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.optimizers import fresh_gru
from loptbench.protocol import OuterState
from loptbench.rollout.trajectory import meta_objective, run
from loptbench.storage.files import lock
from loptbench.storage.weights import load_checkpoint
from loptbench.tasks import TASKS, Quadratic
from loptbench.training.chain import meta_train
from loptbench.training.loop import MAX_CONSECUTIVE_SKIPPED, training_batch
from loptbench.training.made import TASK, is_made_with
from loptbench.training.settings import MetaTraining

pytestmark = pytest.mark.harness

CONFIG = MetaTraining(
    n_units=4,
    n_outer_steps=13,
    batch_size=4,
    n_steps=15,
    learning_rate=1e-2,
    dtype="float64",
    validation_size=8,
    validate_every=2,
    checkpoint_every=3,
)


class Interrupted(Reference):
    """Raises KeyboardInterrupt after `n` outer steps."""

    def __init__(self, n: int) -> None:
        self.n_left = n

    def outer_step(self, *arguments: Any) -> Any:
        self.n_left -= 1
        if self.n_left < 0:
            raise KeyboardInterrupt
        return super().outer_step(*arguments)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("undisturbed") / "out.safetensors"
    meta_train(Reference(), CONFIG, output)
    return output.read_bytes()


@pytest.mark.parametrize("at", [0, 1, 3, 7, 12])
def test_stopped_and_resumed_it_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: bytes, at: int
) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(Interrupted(at), CONFIG, output)
    assert not output.exists()
    steps: list[int] = []
    meta_train(Reference(), CONFIG, output, lambda step, _: steps.append(step))
    assert output.read_bytes() == undisturbed
    assert steps[0] == max(at, 1)  # what was interrupted had been saved
    assert not output.with_name("out.safetensors.partial").exists()


def test_other_data_do_not_go_on_from_there(
    tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(Interrupted(4), CONFIG, output)
    with monkeypatch.context() as patch:
        patch.setitem(TASKS, "quadratic", Quadratic(n_steps=200))
        with pytest.raises(LoptbenchError, match="holds a meta-training of another configuration"):
            meta_train(Reference(), CONFIG, output)
    meta_train(Reference(), CONFIG, output)
    assert output.read_bytes() == undisturbed


def test_what_is_made_says_on_which_data(undisturbed: bytes, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    output.write_bytes(undisturbed)
    checkpoint = load_checkpoint(output)
    older = dataclasses.replace(
        checkpoint,
        meta_training={k: v for k, v in checkpoint.meta_training.items() if k != TASK},
    )
    unknown = dataclasses.replace(
        checkpoint, meta_training={**checkpoint.meta_training, "configuration": None}
    )
    for each in (checkpoint, older):
        assert is_made_with(each, "reference", CONFIG)
        assert not is_made_with(each, "jax", CONFIG)
        assert not is_made_with(each, "reference", CONFIG.model_copy(update={"seed": 1}))
    assert not is_made_with(unknown, "reference", CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "quadratic", Quadratic(n_steps=200))
        for each in (checkpoint, older):
            assert not is_made_with(each, "reference", CONFIG)


def test_the_checkpoint_is_the_best_validated_one(tmp_path: Path) -> None:
    checkpoint = meta_train(Reference(), CONFIG, tmp_path / "out.safetensors")
    metadata = checkpoint.meta_training
    best = min(metadata["log"], key=lambda row: row["validation"])
    assert metadata["best_outer_step"] == best["step"]
    assert metadata["best_validation"] == best["validation"]
    assert metadata["configuration"] == CONFIG.model_dump()
    assert [row["step"] for row in metadata["log"]] == [0, 2, 4, 6, 8, 10, 12, 13]
    from loptbench.tasks import get_task

    batch = get_task("quadratic").sample("validate", 0, range(CONFIG.validation_size))
    trajectory = run(Reference(), checkpoint.optimizer, batch, CONFIG.n_steps)
    assert np.mean(meta_objective(trajectory.loss)) == pytest.approx(best["validation"], rel=1e-12)


def test_meta_training_improves_on_the_start(tmp_path: Path) -> None:
    checkpoint = meta_train(Reference(), CONFIG, tmp_path / "out.safetensors")
    assert checkpoint.meta_training["best_validation"] < 1  # a fresh GRU does nothing: exactly 1
    assert np.any(load_checkpoint(tmp_path / "out.safetensors").optimizer.parameters["h0"] != 0)


class Diverging(Reference):
    """Reports an objective of NaN at the outer steps in `bad`, counted from 1."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.calls = bad, 0

    def outer_step(self, *arguments: Any) -> Any:
        self.calls += 1
        outer, objective = super().outer_step(*arguments)
        return outer, float("nan") if self.calls in self.bad else objective


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    checkpoint = meta_train(Diverging({2, 5, 6}), CONFIG, tmp_path / "out.safetensors")
    assert checkpoint.meta_training["skipped_outer_steps"] == 3


class Leaving(Reference):
    """Moves all parameters far away at the outer steps in `bad`, counted from 1."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.calls = bad, 0

    def outer_step(self, *arguments: Any) -> Any:
        self.calls += 1
        outer, objective = super().outer_step(*arguments)
        if self.calls in self.bad:
            lost = {name: value + 3.0 for name, value in outer.parameters.items()}
            outer = outer._replace(parameters=lost)
        return outer, objective


@pytest.mark.parametrize("bad", [{1}, {5}, {5, 9}])
def test_a_run_that_left_a_good_region_goes_back(tmp_path: Path, bad: set[int]) -> None:
    never = meta_train(Leaving(bad), CONFIG, tmp_path / "never.safetensors").meta_training
    assert never["setbacks"] == 0
    config = CONFIG.model_copy(update={"rollback_ratio": 1.2})
    metadata = meta_train(Leaving(bad), config, tmp_path / "out.safetensors").meta_training
    assert metadata["setbacks"] == len(bad)
    validations = [row["validation"] for row in metadata["log"]]
    lost = [v > 1.2 * min(validations[:i]) for i, v in enumerate(validations) if i]
    assert sum(lost) == len(bad)
    assert metadata["best_validation"] < never["best_validation"]


def test_going_back_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    class LeavingInterrupted(Leaving):
        def __init__(self, stop: int | None) -> None:
            super().__init__({5})
            self.stop = stop

        def outer_step(self, *arguments: Any) -> Any:
            if self.calls == self.stop:
                raise KeyboardInterrupt
            return super().outer_step(*arguments)

    config = CONFIG.model_copy(update={"rollback_ratio": 1.2, "checkpoint_every": 1})
    whole, stopped = tmp_path / "whole.safetensors", tmp_path / "stopped.safetensors"
    meta_train(LeavingInterrupted(None), config, whole)
    for start, stop in ((0, 5), (5, 7)):
        interrupted = LeavingInterrupted(stop)
        interrupted.calls = start
        with pytest.raises(KeyboardInterrupt):
            meta_train(interrupted, config, stopped)
    resumed = LeavingInterrupted(None)
    resumed.calls = 7
    meta_train(resumed, config, stopped)
    assert stopped.read_bytes() == whole.read_bytes()


def test_many_in_a_row_stop_the_run(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"n_outer_steps": 100})
    bad = set(range(3, 100))
    with pytest.raises(LoptbenchError, match=f"{MAX_CONSECUTIVE_SKIPPED} outer steps in a row, up"):
        meta_train(Diverging(bad), config, tmp_path / "out.safetensors")


class BlownUp(Reference):
    """Moves the weights where no meta-gradient is finite at the outer steps in `bad`."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.calls = bad, 0

    def outer_step(self, outer: OuterState, *arguments: Any) -> Any:
        self.calls += 1
        if outer.parameters["b"] > 100:
            return outer, float("nan")
        new, objective = super().outer_step(outer, *arguments)
        if self.calls in self.bad:
            new = new._replace(parameters={**new.parameters, "b": new.parameters["b"] + 1000})
        return new, objective


def test_weights_that_blew_up_go_back(tmp_path: Path) -> None:
    """The run rolls back before the next validation."""
    settings = {"n_outer_steps": 99, "validate_every": 50, "n_steps": 3, "batch_size": 1}
    config = CONFIG.model_copy(update=settings)
    with pytest.raises(LoptbenchError, match=r"up to step 82, .* or set rollback_ratio"):
        meta_train(BlownUp({57}), config, tmp_path / "never.safetensors")
    config = config.model_copy(update={"rollback_ratio": 1e9})
    metadata = meta_train(BlownUp({57}), config, tmp_path / "out.safetensors").meta_training
    assert metadata["setbacks"] == 1
    assert metadata["skipped_outer_steps"] == MAX_CONSECUTIVE_SKIPPED
    with pytest.raises(LoptbenchError, match=f"{2 * MAX_CONSECUTIVE_SKIPPED} outer steps in a row"):
        meta_train(Diverging(set(range(3, 99))), config, tmp_path / "hopeless.safetensors")


def test_an_output_is_not_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    output.write_text("precious")
    with pytest.raises(WeightsError, match="exists and is not overwritten"):
        meta_train(Reference(), CONFIG, output)
    assert output.read_text() == "precious"


def test_a_partial_file_of_another_run_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(Interrupted(5), CONFIG, output)
    changed = CONFIG.model_copy(update={"learning_rate": 2e-2})
    with pytest.raises(LoptbenchError, match="holds a meta-training of another configuration"):
        meta_train(Reference(), changed, output)


def test_killed_at_random_it_ends_with_the_same_bytes(tmp_path: Path, undisturbed: bytes) -> None:
    """SIGKILL of a process that is saving, validating or stepping."""
    settings = CONFIG.model_dump(exclude={"task"}, exclude_none=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (tmp_path / "tiny.toml").write_text("\n".join(lines))
    output = tmp_path / "out.safetensors"
    command = [sys.executable, "-m", "loptbench", "meta-train", "quadratic"]
    command += ["--implementation", "reference"]
    command += ["--config", str(tmp_path / "tiny.toml"), "--output", str(output)]
    moments = np.random.default_rng(0).uniform(0, 0.3, 3)
    for moment in moments:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        process.stderr.readline()  # the first line of progress: it has started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=float(moment))
        process.kill()
        process.communicate()
        if output.exists():
            break
    if not output.exists():
        subprocess.run(command, check=True, capture_output=True)
    assert output.read_bytes() == undisturbed


def test_a_partial_file_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(Interrupted(5), CONFIG, output)
    partial = output.with_name("out.safetensors.partial")
    before = partial.read_bytes()
    with (
        lock(partial, "a meta-training"),
        pytest.raises(LoptbenchError, match=r"partial is in use by a meta-training in another"),
    ):
        meta_train(Reference(), CONFIG, output)
    assert partial.read_bytes() == before
    meta_train(Reference(), CONFIG, output)


def test_a_full_disk_loses_nothing(
    tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress saved before the disk is full stays, and a later call resumes from it."""
    output = tmp_path / "out.safetensors"
    with pytest.raises(KeyboardInterrupt):
        meta_train(Interrupted(7), CONFIG, output)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(LoptbenchError, match="No space left on device; what was there before"):
            meta_train(Reference(), CONFIG, output)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []
    meta_train(Reference(), CONFIG, output)
    assert output.read_bytes() == undisturbed


def test_every_outer_step_has_problems_of_its_own() -> None:
    batches = [training_batch(CONFIG, step) for step in range(3)]
    assert [batch.indices[0] for batch in batches] == [0, 4, 8]
    assert {batch.split for batch in batches} == {"meta_train"}


def test_late_batches_go_on_in_the_problem_stream() -> None:
    late = CONFIG.model_copy(update={"n_outer_steps": 10, "late_batch_size": 6})
    batches = [training_batch(late, step) for step in (0, 6, 7, 8, 9)]
    assert [list(batch.indices) for batch in batches] == [
        [0, 1, 2, 3],
        [24, 25, 26, 27],
        [28, 29, 30, 31, 32, 33],
        [34, 35, 36, 37, 38, 39],
        [40, 41, 42, 43, 44, 45],
    ]


def test_a_fresh_gru_is_initialised_as_stated() -> None:
    spec = fresh_gru(40, 0)
    for name in ("b_z", "b_r", "b_c", "w", "b", "h0"):
        assert not np.any(spec.parameters[name])
    for name in ("W_z", "W_r", "W_c"):
        variance = np.var(spec.parameters[name]) * 41
        assert abs(variance - 1) < 4 * np.sqrt(2 / 1600)
    assert not np.array_equal(fresh_gru(4, 0).parameters["W_z"], fresh_gru(4, 1).parameters["W_z"])
