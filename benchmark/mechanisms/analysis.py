"""All probes on one optimizer, and the comparison of two implementations' answers."""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from loptbench.agreement import Comparison, compare, compare_arrays
from loptbench.mechanisms.convergence import ConvergencePoint, NotApplicable, find_convergence_point
from loptbench.mechanisms.momentum import Momentum, measure_momentum
from loptbench.protocol import Optimizer, Trajectory
from loptbench.tolerances import bound

N_STARTS = 128


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What the probes found.

    Attributes:
        convergence_point: the convergence point, or why there is none.
        momentum: the momentum there, or why there is none.
        typical_update: the root mean square of the updates of real runs, or None without runs.
    """

    convergence_point: ConvergencePoint | NotApplicable
    momentum: Momentum | NotApplicable
    typical_update: float | None = None

    @property
    def drift(self) -> float | None:
        """U(h*, 0) relative to the typical update; None where either is missing."""
        point = self.convergence_point
        if isinstance(point, NotApplicable) or not self.typical_update:
            return None
        return point.update / self.typical_update

    def as_dict(self) -> dict[str, Any]:
        """The analysis for programs: plain numbers and lists, complex ones as [real, imaginary]."""
        return {
            "convergence_point": _point_dict(self.convergence_point, self.drift),
            "momentum": _momentum_dict(self.momentum),
        }


def analyze(optimizer: Optimizer, run: Trajectory | None = None) -> Analysis:
    """Put an optimizer through every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        run: its runs on a task, for the measurements that need some.
    """
    starts = typical = None
    if run is not None and np.all(np.isfinite(run.state)):
        met = np.concatenate(run.state)
        starts = met[np.linspace(0, len(met) - 1, N_STARTS).astype(int)]
        typical = float(np.sqrt(np.mean(run.update**2)))
    point = find_convergence_point(optimizer, starts)
    return Analysis(point, measure_momentum(point, run), typical)


def compare_analyses(found: Analysis, expected: Analysis) -> list[Comparison]:
    """Hold one implementation's conclusions to another's.

    Eigenvalues are matched as sets, each within its condition number's share of the bound.
    """
    compared: list[Comparison] = []
    for name in ("convergence_point", "momentum"):
        one, other = getattr(found, name), getattr(expected, name)
        if isinstance(one, NotApplicable) != isinstance(other, NotApplicable):
            said = one if isinstance(one, NotApplicable) else other
            deviation = f"{name}: only one of the two finds it not applicable: {said.reason}"
            compared.append(Comparison(name, np.array([np.inf]), np.array([1.0]), deviation))
    here, there = found.convergence_point, expected.convergence_point
    if isinstance(here, ConvergencePoint) and isinstance(there, ConvergencePoint):
        scale = max(1.0, float(np.abs(there.state).max(initial=0.0)))
        compared.append(
            compare_arrays(
                "convergence point",
                "convergence point",
                here.state,
                there.state,
                "float64",
                "cpu",
                scale,
            )
        )
    if isinstance(found.momentum, Momentum) and isinstance(expected.momentum, Momentum):
        compared += _compare_momentum(found.momentum, expected.momentum)
    return compared


def _compare_momentum(found: Momentum, expected: Momentum) -> list[Comparison]:
    compared = [
        compare_arrays(
            "momentum index",
            "momentum index",
            np.array(found.index),
            np.array(expected.index),
            "float64",
            "cpu",
            1.0,
        )
    ]
    ours = np.array([mode.eigenvalue for mode in found.modes])
    theirs = np.array([mode.eigenvalue for mode in expected.modes])
    if theirs.size:
        distance = np.abs(ours[:, None] - theirs[None, :])
        rows, columns = linear_sum_assignment(distance)
        condition = np.array([expected.modes[j].condition for j in columns])
        compared.append(
            compare(
                "eigenvalue, distance from its match",
                distance[rows, columns],
                np.zeros(len(rows)),
                condition,
                bound("eigenvalue", "float64"),
                ("eigenvalue",),
            )
        )
    return compared


def _point_dict(point: ConvergencePoint | NotApplicable, drift: float | None) -> dict[str, Any]:
    if isinstance(point, NotApplicable):
        return {"not_applicable": point.reason}
    return {
        "residual": point.residual,
        "spectral_radius": point.spectral_radius,
        "stable": point.stable,
        "drift": drift,
        "update": point.update,
        "state": point.state.tolist(),
        "other_starts": point.n_starts,
        "other_starts_at_this_point": point.n_same,
        "linearization_error": point.linear_error,
        **{name: np.asarray(m).tolist() for name, m in zip("ABCD", point.linear, strict=True)},
    }


def _momentum_dict(momentum: Momentum | NotApplicable) -> dict[str, Any]:
    if isinstance(momentum, NotApplicable):
        return {"not_applicable": momentum.reason}
    return {
        "index": momentum.index,
        "effective_rate": momentum.effective_rate,
        "asymptotic_rate": momentum.asymptotic_rate,
        "r2_near_convergence": momentum.r2_near,
        "r2_whole_run": momentum.r2_whole,
        "impulse_response": momentum.impulse_response.tolist(),
        "modes": [
            {
                "eigenvalue": [mode.eigenvalue.real, mode.eigenvalue.imag],
                "timescale": _finite(mode.timescale),
                "contribution": _finite(mode.contribution),
                "condition": _finite(mode.condition),
            }
            for mode in momentum.modes
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
