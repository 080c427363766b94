"""Inner runs: the loop over single steps, the meta-objective, and runs on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.files import write_atomically
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Level, Optimizer, Problems, Trajectory, offers
from loptbench.tasks.base import ProblemBatch
from loptbench.weights import read_safetensors, refuse_to_overwrite, safetensors_bytes

FORMAT = "loptbench-trajectory"


def meta_objective(loss: Array) -> NDArray[np.floating[Any]]:
    """(1/n_steps) Σ_k f(x_k) / f(x_0) of every problem.

    Args:
        loss: (n_steps, n_problems).

    Returns: (n_problems,).
    """
    return np.asarray(np.mean(loss, axis=0) / loss[0])


def unroll_by_steps(
    optimizer: Optimizer, problems: Problems, initial_parameters: Array, n_steps: int
) -> Trajectory:
    """The inner loop over level 1; `loptbench.protocol.Unrolls.unroll` has its equations."""
    x = initial_parameters
    state = optimizer.initial_state(x.size)
    losses, xs, gradients, states, updates = [], [x], [], [state], []
    for k in range(n_steps):
        loss, gradient = problems.loss_and_gradient(x, k)
        state, flat_update = optimizer.step(state, gradient.reshape(-1))
        update = flat_update.reshape(x.shape)
        x = x + update
        losses.append(loss)
        gradients.append(gradient)
        updates.append(update)
        xs.append(x)
        states.append(state)
    return Trajectory(*(np.stack(rows) for rows in (losses, xs, gradients, states, updates)))


def run(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str = "float64",
    device: str = "cpu",
) -> Trajectory:
    """One inner run, natively where the implementation can, step by step where it cannot."""
    optimizer = implementation.optimizer(spec, dtype, device)
    problems = implementation.problems(batch, dtype, device)
    start = batch.initial_parameters.astype(dtype)
    if offers(implementation, Level.UNROLL):
        trajectory: Trajectory = implementation.unroll(optimizer, problems, start, n_steps)
        return trajectory
    return unroll_by_steps(optimizer, problems, start, n_steps)


def save_trajectory(trajectory: Trajectory, provenance: Mapping[str, Any], path: Path) -> None:
    """Write a run and where it comes from to a safetensors file that does not exist yet.

    Raises:
        LoptbenchError: the file is there already, or the folder cannot be written.
    """
    refuse_to_overwrite(path)
    metadata = {"format": FORMAT, "provenance": json.dumps(provenance, sort_keys=True)}
    write_atomically(path, safetensors_bytes(trajectory._asdict(), metadata))


def load_trajectory(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """Read a run and where it comes from.

    Raises:
        LoptbenchError: the file is missing, truncated, or not a trajectory.
    """
    arrays, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT or set(arrays) != set(Trajectory._fields):
        raise LoptbenchError(
            f"{path} is not a trajectory: write one with 'loptbench analyze --save-runs'"
        )
    return Trajectory(**arrays), json.loads(metadata["provenance"])
