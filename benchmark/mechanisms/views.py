"""What figures show of the state and the update besides the numbers of the probes.

    h[t+1] = F(h[t], 0), h[0] a state of a real run      paths to the convergence point
    U(h* + a v, g), A v = λ v                            update functions along the strongest mode
    U(h_T(g'), g)                                        update functions along the adapted states

They are not compared, and no verdict rests on them.
"""

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.dynamics.driving import drive
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.principal_components import PrincipalAxes
from loptbench.protocol import Optimizer
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ConvergencePointResult,
    MomentumResult,
    NotApplicable,
    PathsResult,
    UpdatesResult,
    ViewsResult,
)

Float = NDArray[np.float64]

N_PATHS = 8
"""Paths to the convergence point."""

N_TIMES = 16
"""Times of each path, evenly spaced in their logarithm; early ones coincide."""

N_GRADIENTS = 31
"""Gradients of an update function, from −q99 to q99."""

PLACES = (0.01, 0.25, 0.75, 0.99)
"""Quantiles of the states of real runs along a mode at which update functions are shown."""


def measure_views(
    optimizer: Optimizer,
    point: ConvergencePointResult | NotApplicable,
    momentum: MomentumResult | NotApplicable,
    adaptation: AdaptationResult | NotApplicable,
    starts: Float | None,
    statistics: GradientStatistics,
    n_steps: int,
) -> ViewsResult | None:
    """The views of an optimizer; None if there are none.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        point: its convergence point.
        momentum: its modes there.
        adaptation: its adapted states.
        starts: states of real runs, (n_starts, n_state); None without runs.
        statistics: the gradients that it meets on real runs.
        n_steps: T.
    """
    paths = along_mode = along_curve = None
    if isinstance(point, ConvergencePointResult) and starts is not None:
        paths = find_paths(optimizer, point.state, starts, n_steps)
        if isinstance(momentum, MomentumResult):
            along_mode = _along_mode(optimizer, point, momentum, starts, statistics)
    if isinstance(adaptation, AdaptationResult):
        along_curve = _along_curve(optimizer, adaptation, statistics)
    if paths is None and along_mode is None and along_curve is None:
        return None
    return ViewsResult(paths=paths, along_mode=along_mode, along_curve=along_curve)


def find_paths(
    optimizer: Optimizer, point: Float, starts: Float, n_steps: int
) -> PathsResult | None:
    """Paths of the state without a gradient; None if it has fewer than two entries.

    Args:
        optimizer: any optimizer in float64, with its counters frozen.
        point: its convergence point, (n_state,).
        starts: states of real runs, (n_starts, n_state).
        n_steps: T.
    """
    if point.size < 2 or not len(starts):
        return None
    chosen = starts[np.linspace(0, len(starts) - 1, N_PATHS).astype(int)]
    steps = np.unique(np.r_[0, np.geomspace(1, n_steps, N_TIMES).round()]).astype(int)
    states = drive(optimizer, chosen, np.zeros(len(chosen)), steps.tolist())
    if not np.all(np.isfinite(states)):
        return None
    axes = PrincipalAxes.of(np.concatenate([states.reshape(-1, point.size), point[None]]), 2)
    coordinates = axes.coordinates(states)
    return PathsResult(
        steps=steps.astype(np.float64),
        first=coordinates[..., 0].T,
        second=coordinates[..., 1].T,
        point=axes.coordinates(point),
        variance=axes.share,
    )


def _along_mode(
    optimizer: Optimizer,
    point: ConvergencePointResult,
    momentum: MomentumResult,
    starts: Float,
    statistics: GradientStatistics,
) -> UpdatesResult | None:
    """Update functions along the mode that contributes most to the impulse response."""
    strongest = next((mode for mode in momentum.modes if mode.contribution > 0), None)
    if strongest is None:
        return None
    eigenvalues, vectors = np.linalg.eig(point.A)
    place = np.abs(eigenvalues - complex(*strongest.eigenvalue)).argmin()
    direction = vectors[:, place].real
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    direction = direction / np.linalg.norm(direction)
    met = (starts - point.state) @ direction
    at = np.unique(np.r_[0.0, np.quantile(met, PLACES)])
    return _updates(optimizer, point.state + at[:, None] * direction, at, statistics)


def _along_curve(
    optimizer: Optimizer, adaptation: AdaptationResult, statistics: GradientStatistics
) -> UpdatesResult | None:
    """Update functions at the adapted states of small, typical and large gradients."""
    sizes = np.array([statistics.smallest, statistics.typical, statistics.large])
    gradients = adaptation.adapted.gradients
    wanted = np.concatenate([-sizes[::-1], sizes])
    places = np.unique(np.abs(gradients[:, None] - wanted).argmin(axis=0))
    state = adaptation.adapted.state[places]
    finite = np.all(np.isfinite(state), axis=1)
    return _updates(optimizer, state[finite], gradients[places][finite], statistics)


def _updates(
    optimizer: Optimizer, state: Float, at: Float, statistics: GradientStatistics
) -> UpdatesResult | None:
    """U(h, g) at each state; None without states."""
    if not len(state):
        return None
    gradients = np.linspace(-statistics.large, statistics.large, N_GRADIENTS)
    repeated, gradient = np.repeat(state, N_GRADIENTS, axis=0), np.tile(gradients, len(state))
    update = checked_step(optimizer, repeated, gradient)[1]
    return UpdatesResult(at=at, gradients=gradients, update=update.reshape(len(state), N_GRADIENTS))
