"""Adapted states: where an optimizer is after T steps of a constant gradient.

    h_T(g):  h[0] = h*,  h[t+1] = F(h[t], g),  h_T(g) = h[T]

They always exist, whether or not the state has come to rest. A state that goes round in a cycle is
told from one that is on its way: it moves fast and gets nowhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import MAX_BLOCK_ELEMENTS, drive
from loptbench.mechanisms.dynamics.fixed_points import state_distance, state_scale
from loptbench.protocol import Array, Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

N_SNAPSHOTS = 32
"""States between T and 2 T by which a cycle is recognized."""

MIN_CYCLE_SPEED = 1e-6
"""Speed, relative to the state, below which a state does not count as cycling."""

MIN_DETOUR = 4.0
"""A state cycles if its speed would carry it at least this many times as far as it gets."""

MIN_LASTING = 0.9
"""A cycle lasts: its extent in the second half of T steps is at least this part of the first's."""

MAX_RETURN = 0.1
"""A cycle closes where the state returns to within this fraction of the cycle's extent."""


class AdaptedStates(NamedTuple):
    """The states after T and 2 T steps of constant gradients.

    Attributes:
        gradient: g, (n,).
        state: h_T(g), (n, n_state); NaN or infinite where the state has grown without bound.
        later: h_2T(g), (n, n_state).
        speed: max |F(h_T, g) − h_T|, (n,).
        cycling: whether the state goes round in a cycle, (n,).
        n_steps: T.
    """

    gradient: Float
    state: Array
    later: Array
    speed: Float
    cycling: Bool
    n_steps: int


def find_adapted_states(
    optimizer: Optimizer, start: Array, gradient: Float, n_steps: int
) -> AdaptedStates:
    """Drive the state for 2 T steps under each gradient.

    Args:
        optimizer: any optimizer in float64.
        start: the state to begin with, (n_state,).
        gradient: the constant gradients, (n,).
        n_steps: T.
    """
    snapshots = np.unique(np.linspace(n_steps, 2 * n_steps, N_SNAPSHOTS + 1).astype(int))
    times = np.union1d(snapshots, [n_steps + 1])
    path = drive(optimizer, np.tile(start, (len(gradient), 1)), gradient, times.tolist())
    state, after_one = path[0], path[1]
    with np.errstate(invalid="ignore", over="ignore"):
        speed = state_distance(after_one, state)
        extent = np.max([state_distance(part, state) for part in path], axis=0)
        fast = speed > MIN_CYCLE_SPEED * state_scale(state)
        candidates = np.flatnonzero(fast & (speed * n_steps > MIN_DETOUR * extent))
    cycling = np.zeros(len(gradient), bool)
    if candidates.size:
        dense = _paths(optimizer, state[candidates], gradient[candidates], n_steps)
        halves = np.array_split(dense, 2)
        first, second = (np.ptp(half, axis=0).max(axis=1) for half in halves)
        cycling[candidates] = second >= MIN_LASTING * first
    return AdaptedStates(gradient, state, path[-1], speed, cycling, n_steps)


def _paths(optimizer: Optimizer, state: Array, gradient: Float, n_steps: int) -> Array:
    """The states at each of the next T steps, (n_steps + 1, n, n_state)."""
    return drive(optimizer, state, gradient, range(n_steps + 1))


def average_over_cycles(
    optimizer: Optimizer,
    adapted: AdaptedStates,
    state: Array,
    values: Callable[[Array, Float], Float],
) -> Float:
    """The mean of one or more numbers over the whole cycles of T steps, (n_cycling, ...).

    Args:
        optimizer: the optimizer.
        adapted: its adapted states.
        state: those of the cycling ones to begin with, (n_cycling, n_state).
        values: the numbers at states, (n, n_state), under gradients, (n,); (n, ...).
    """
    gradient = adapted.gradient[adapted.cycling]
    means = []
    n_in_block = max(1, MAX_BLOCK_ELEMENTS // max(1, state[0].size * adapted.n_steps))
    for start in range(0, len(gradient), n_in_block):
        block = slice(start, start + n_in_block)
        paths = _paths(optimizer, state[block], gradient[block], adapted.n_steps)
        lengths = [_cycles_length(path) for path in np.moveaxis(paths, 1, 0)]
        on_cycles = np.concatenate([paths[:length, i] for i, length in enumerate(lengths)])
        measured = values(on_cycles, np.repeat(gradient[block], lengths))
        firsts = np.cumsum([0, *lengths[:-1]])
        sums = np.add.reduceat(measured, firsts)
        means.append((sums.T / lengths).T)
    return np.concatenate(means)


def _cycles_length(path: Array) -> int:
    """The number of steps of the whole cycles in a path, (n_steps + 1, n_state).

    The first step that returns to the start gives the period; of the multiples of about that many
    steps, the one that returns most closely is taken. All steps, if the path never returns.
    """
    distance = np.abs(path[1:] - path[0]).max(axis=1)
    extent = float(distance.max())
    returned = np.flatnonzero(distance <= MAX_RETURN * extent)
    if extent == 0 or not returned.size:
        return len(path) - 1
    best = returned[distance[returned] <= distance[returned].min() + 1e-9 * extent]
    return int(best[-1]) + 1
