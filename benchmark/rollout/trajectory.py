"""Inner runs: the loop over single steps, the meta-objective, sweeps, and runs on disk."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.optimizers import KINDS, OptimizerSpec
from loptbench.protocol import (
    Array,
    Level,
    Optimizer,
    Problems,
    Sweep,
    Sweeps,
    Trajectory,
    UnrollsLosses,
    offers,
)
from loptbench.reading import parse_json, require_table
from loptbench.storage.files import write_atomically
from loptbench.storage.weights import read_safetensors, refuse_to_overwrite, safetensors_bytes
from loptbench.tasks.base import ProblemBatch

FORMAT = "loptbench-trajectory"


def meta_objective(loss: Array) -> NDArray[np.floating[Any]]:
    """(1/n_steps) Σ_k f(x_k) / f(x_0) of every problem.

    >>> meta_objective(np.array([[2.0], [1.0]]))
    array([0.75])

    Args:
        loss: (n_steps, n_problems).

    Returns: (n_problems,).
    """
    return np.asarray(np.mean(loss, axis=0) / loss[0])


def unroll_by_steps(
    optimizer: Optimizer, problems: Problems, initial_parameters: Array, n_steps: int
) -> Trajectory:
    """An inner run as a loop over level 1; `loptbench.protocol.Unrolls.unroll` has the equations.

    Args:
        optimizer: the optimizer.
        problems: the problems, in the same dtype.
        initial_parameters: x_0, (n_problems, n_parameters), in that dtype.
        n_steps: number of inner steps.
    """
    state = optimizer.initial_state(initial_parameters.size)
    return loop(optimizer, problems, initial_parameters, state, range(n_steps))


def loop(
    optimizer: Optimizer, problems: Problems, x: Array, state: Array, steps: range
) -> Trajectory:
    """The steps with these numbers, from parameters and states that are given.

    Args:
        optimizer: the optimizer.
        problems: the problems, in the same dtype.
        x: the parameters before the first of the steps, (n_problems, n_parameters).
        state: the states before it, (n_components, n_state).
        steps: the numbers of the steps.
    """
    losses, xs, gradients, states, updates = [], [x], [], [state], []
    for k in steps:
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
    """An inner run: natively if the implementation offers it, else step by step."""
    handles = _handles(implementation, spec, batch, dtype, device)
    if offers(implementation, Level.UNROLL):
        trajectory: Trajectory = implementation.unroll(*handles, n_steps)
        return trajectory
    return unroll_by_steps(*handles, n_steps)


def run_for_losses(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str,
    device: str,
) -> Array:
    """The losses of `run`, (n_steps, n_problems); the rest is not recorded where possible."""
    if isinstance(implementation, UnrollsLosses):
        handles = _handles(implementation, spec, batch, dtype, device)
        return implementation.unroll_losses(*handles, n_steps)
    return run(implementation, spec, batch, n_steps, dtype, device).loss


def _handles(
    implementation: Any, spec: OptimizerSpec, batch: ProblemBatch, dtype: str, device: str
) -> tuple[Any, Any, Array]:
    """The optimizer, the problems, and the initial parameters of a run."""
    optimizer = implementation.optimizer(spec, dtype, device)
    problems = implementation.problems(batch, dtype, device)
    return optimizer, problems, batch.initial_parameters.astype(dtype)


def start_sweep(
    batch: ProblemBatch, kind: str, hyperparameters: Mapping[str, Array], dtype: str
) -> Sweep:
    """The state of many runs of a hand-designed kind before their first step.

    Args:
        batch: the problems.
        kind: the kind.
        hyperparameters: its parameters, by name, each (n_draws,).
        dtype: the dtype of the runs.
    """
    n_draws = len(next(iter(hyperparameters.values())))
    x = np.broadcast_to(batch.initial_parameters, (n_draws, *batch.initial_parameters.shape))
    n_state = KINDS[kind].n_state({name: column[0] for name, column in hyperparameters.items()})
    state = np.zeros((n_draws, batch.initial_parameters.size, n_state), dtype)
    return Sweep(x.astype(dtype), state, np.zeros(n_draws, np.int64))


def sweep(
    implementation: Any,
    kind: str,
    hyperparameters: Mapping[str, Array],
    constants: Mapping[str, float],
    problems: Any,
    at: Sweep,
    n_steps: int,
    dtype: str,
) -> tuple[Array, Sweep]:
    """Many runs at once: natively if the implementation offers it, else run by run.

    The arguments are those of `loptbench.protocol.Sweeps.sweep`.
    """
    if isinstance(implementation, Sweeps):
        return implementation.sweep(kind, hyperparameters, constants, problems, at, n_steps)
    return run_by_run(
        implementation, kind, hyperparameters, constants, problems, at, n_steps, dtype
    )


def run_by_run(
    implementation: Any,
    kind: str,
    hyperparameters: Mapping[str, Array],
    constants: Mapping[str, float],
    problems: Any,
    at: Sweep,
    n_steps: int,
    dtype: str,
) -> tuple[Array, Sweep]:
    """A sweep as a loop over draws and steps of level 1; the arguments are those of `sweep`."""
    results: list[tuple[Array, Array, Array]] = []
    for draw, first in enumerate(at.step):
        spec = OptimizerSpec(
            kind,
            {k: np.asarray(v[draw], np.float64) for k, v in hyperparameters.items()},
            constants,
        )
        optimizer = implementation.optimizer(spec, dtype, "cpu")
        x, state, losses = at.parameters[draw], at.state[draw], []
        with np.errstate(all="ignore"):
            for k in range(int(first), int(first) + n_steps):
                loss, gradient = problems.loss_and_gradient(x, k)
                state, update = optimizer.step(state, gradient.reshape(-1))
                x = x + update.reshape(x.shape)
                losses.append(loss)
        results.append((np.stack(losses), x, state))
    loss, x, state = (np.stack(part) for part in zip(*results, strict=True))
    return np.moveaxis(loss, 0, 1), Sweep(x, state, at.step + n_steps)


def save_trajectory(trajectory: Trajectory, provenance: Mapping[str, Any], path: Path) -> None:
    """Write a run and its provenance to a safetensors file that does not exist yet.

    Raises:
        LoptbenchError: the file exists, or the folder cannot be written.
    """
    refuse_to_overwrite(path)
    metadata = {"format": FORMAT, "provenance": json.dumps(provenance, sort_keys=True)}
    write_atomically(path, safetensors_bytes(trajectory._asdict(), metadata))


def load_trajectory(path: Path) -> tuple[Trajectory, dict[str, Any]]:
    """Read a run and its provenance.

    Raises:
        LoptbenchError: the file is missing, truncated, or not a trajectory.
    """
    arrays, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT or set(arrays) != set(Trajectory._fields):
        raise LoptbenchError(
            f"{path} is not a trajectory: write one with 'loptbench analyze --save-runs'"
        )
    try:
        provenance = require_table(parse_json(metadata["provenance"]), "provenance")
    except (KeyError, ValueError) as error:
        raise LoptbenchError(f"the metadata of {path} cannot be read: {error}") from error
    return Trajectory(**arrays), provenance
