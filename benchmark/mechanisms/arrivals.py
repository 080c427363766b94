"""Where the state ends without a gradient, from states that were met on real runs.

h[t+1] = F(h[t], 0), h[0] a state of a real run; looked at after 10 T and after 20 T steps
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.fixed_points import SAME_POINT_TOLERANCE, state_scale
from loptbench.protocol import Optimizer

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

HORIZONS = {"10T": 10, "20T": 20}
"""Times at which the states are looked at, in multiples of T."""

NEAR = 0.01
"""A state is at h* within this fraction of ‖h0 − h*‖."""

AT_REST = 1e-12
"""Relative distance from a stable h* below which a state is not followed any longer."""


class Arrivals(NamedTuple):
    """Where the states of real runs end.

    Attributes:
        at_point: the share within 1 % of ‖h0 − h*‖ of h*, by horizon.
        nearer: the share within 1 % of their own first distance of h*, by horizon.
        n_exact: how many are at h* to a millionth after 20 T steps.
        n_other_places: distinct places at which the others end after 10 T steps.
        n_finite: how many are finite numbers then.
    """

    at_point: dict[str, float]
    nearer: dict[str, float]
    n_exact: int
    n_other_places: int
    n_finite: int


def find_arrivals(
    optimizer: Optimizer, starts: Float, h0: Float, point: Float, is_stable: bool, n_steps: int
) -> Arrivals:
    """Where the states end.

    Where h0 is h* itself, 1 % of each state's own first distance is what counts as near.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        starts: the states of real runs, (n_starts, n_state).
        h0: the initial state, (n_state,).
        point: the convergence point h*, (n_state,).
        is_stable: whether it is stable.
        n_steps: T.
    """
    first_distance = np.linalg.norm(starts - point, axis=1)
    reach = float(np.linalg.norm(h0 - point))
    near = NEAR * np.full(len(starts), reach) if reach > 0 else NEAR * first_distance
    ends = _ends(optimizer, starts, point, is_stable, n_steps)
    distance = {name: np.linalg.norm(end - point, axis=1) for name, end in ends.items()}
    first_end, last_end = ends["10T"], ends["20T"]
    finite = np.all(np.isfinite(first_end), axis=1)
    others = first_end[finite & ~(distance["10T"] <= near)]
    exact = np.abs(last_end - point).max(axis=1, initial=0.0)
    return Arrivals(
        {name: _share(d <= near) for name, d in distance.items()},
        {name: _share(d <= NEAR * first_distance) for name, d in distance.items()},
        int(np.sum(exact <= SAME_POINT_TOLERANCE * state_scale(point[None])[0])),
        _count_places(others, float(near.max(initial=0.0))),
        int(finite.sum()),
    )


def _share(holds: Bool) -> float:
    return float(np.mean(holds)) if holds.size else np.nan


def _ends(
    optimizer: Optimizer, starts: Float, point: Float, is_stable: bool, n_steps: int
) -> dict[str, Float]:
    """The states at each horizon; what has come to rest at h* is not followed any longer."""
    state = starts.copy()
    moving = np.arange(len(state))
    ends = {}
    for multiple in range(1, max(HORIZONS.values()) + 1):
        if moving.size:
            before = state[moving]
            state[moving] = drive(optimizer, before, np.zeros(moving.size), [n_steps])[0]
            with np.errstate(invalid="ignore"):
                resting = np.all(state[moving] == before, axis=1)
                distance = np.abs(state[moving] - point).max(axis=1, initial=0.0)
                if is_stable:
                    resting |= distance <= AT_REST * state_scale(point[None])[0]
                moving = moving[~resting & np.all(np.isfinite(state[moving]), axis=1)]
        ends.update(
            {name: state.copy() for name, horizon in HORIZONS.items() if horizon == multiple}
        )
    return ends


def _count_places(states: Float, near: float) -> int:
    """The number of places that are further than `near` from each other."""
    places: list[Float] = []
    for state in states:
        if all(np.linalg.norm(state - place) > near for place in places):
            places.append(state)
    return len(places)
