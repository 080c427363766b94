"""Many components under given gradients: the optimizer's own `drive`, or a loop over its steps."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.arrays import plain_array
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Array, Drives, Optimizer

MAX_BLOCK_ELEMENTS = 2**24
"""Approximate number of state variables that one call computes; 128 MB in float64."""


def drive(optimizer: Optimizer, state: Array, gradients: Array, times: Sequence[int]) -> Array:
    """The states at chosen times of a run whose gradients are given.

        h[0] = state;  h[k + 1] = F(h[k], g[k])   for k = 0 … times[-1] − 1

    It is the optimizer's own `drive` where it offers one, and a loop over `step` where not. Large
    numbers of components are computed in blocks.

    >>> class Momentum:
    ...     def initial_state(self, n_components):
    ...         return np.zeros((n_components, 1))
    ...
    ...     def step(self, state, gradient):
    ...         new_state = 0.5 * state + gradient[:, None]
    ...         return new_state, -new_state[:, 0]
    >>> states = drive(Momentum(), np.zeros((2, 1)), np.array([1.0, 4.0]), [0, 1, 3])
    >>> states[:, :, 0].tolist()
    [[0.0, 0.0], [1.0, 4.0], [1.75, 7.0]]

    Args:
        optimizer: any optimizer.
        state: h[0], (n_components, n_state).
        gradients: (n_components,), the gradient of every step; or (n_steps, n_components), whose
            row k is g[k].
        times: the times asked for, strictly increasing and at least 0. The last one is the number
            of steps taken, at most the number of rows of `gradients`.

    Returns: h[t] at each of the times, (len(times), n_components, n_state).

    Raises:
        ContractError: the optimizer returned another shape or dtype than the protocol asks for.
        ValueError: the gradients or the times do not fit.
    """
    times = [int(time) for time in times]
    n, n_state = state.shape
    _require_times(times, gradients, n)
    block_size = max(1, MAX_BLOCK_ELEMENTS // max(1, n_state * len(times)))
    blocks = [
        _drive_block(
            optimizer,
            state[start : start + block_size],
            gradients[..., start : start + block_size],
            times,
        )
        for start in range(0, max(n, 1), block_size)
    ]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)


def _require_times(times: list[int], gradients: Array, n_components: int) -> None:
    """Raise a ValueError unless the times are valid and there are gradients for all steps."""
    if not times or times[0] < 0 or any(later <= time for time, later in pairwise(times)):
        raise ValueError(f"the times must increase from 0 or later, but they are {times}")
    constant = gradients.shape == (n_components,)
    enough = gradients.ndim == 2 and len(gradients) >= times[-1]
    if not constant and not (enough and gradients.shape[1] == n_components):
        raise ValueError(
            f"{times[-1]} steps of {n_components} components need gradients of the shape "
            f"({n_components},) or ({times[-1]}, {n_components}), but they have {gradients.shape}"
        )


def _drive_block(
    optimizer: Optimizer, state: Array, gradients: Array, times: Sequence[int]
) -> Array:
    if not isinstance(optimizer, Drives) or not len(state):
        return drive_by_steps(optimizer, state, gradients, times)
    with np.errstate(all="ignore"):
        # Copies, because the optimizer may write into its arguments.
        states = optimizer.drive(state.copy(), gradients.copy(), list(times))
    states = plain_array("what drive returns", states)
    shape = (len(times), *state.shape)
    if states.shape != shape:
        raise ContractError(
            f"drive must return the states in the shape {shape}, but it has {states.shape}"
        )
    if states.dtype != state.dtype:
        raise ContractError(
            f"drive must return the states in {state.dtype}, as the one that it starts from, but "
            f"they are in {states.dtype}"
        )
    return states


def drive_by_steps(
    optimizer: Optimizer, state: Array, gradients: Array, times: Sequence[int]
) -> Array:
    """What `drive` returns, by a loop over `step`; the same arguments."""
    h, states = state.copy(), []
    for last, time in pairwise([0, *times]):
        for k in range(last, time):
            h, _ = checked_step(optimizer, h, gradients if gradients.ndim == 1 else gradients[k])
        states.append(h.copy())
    return np.stack(states)
