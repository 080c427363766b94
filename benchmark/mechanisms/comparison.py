"""FrozenStateOptimizer one implementation's conclusions to another's."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from loptbench.agreement.comparison import Comparison, compare, compare_arrays
from loptbench.agreement.tolerances import bound
from loptbench.mechanisms.adaptation import Adaptation
from loptbench.mechanisms.analysis import Analysis
from loptbench.mechanisms.clipping import Clipping
from loptbench.mechanisms.convergence import ConvergencePoint
from loptbench.mechanisms.momentum import Momentum
from loptbench.mechanisms.schedule import Schedule
from loptbench.mechanisms.values import Float, NotApplicable

PROBES = ("convergence_point", "momentum", "clipping", "schedule", "adaptation")


def compare_analyses(found: Analysis, expected: Analysis) -> list[Comparison]:
    """Hold one implementation's conclusions to another's.

    Both must have been told of the same gradients. Eigenvalues are matched as sets, each within its
    condition number's share of the bound; half-saturations are those of h0 and h*, since the states
    of real runs are each implementation's own.
    """
    compared: list[Comparison] = []
    for name in PROBES:
        one, other = getattr(found, name), getattr(expected, name)
        if isinstance(one, NotApplicable) != isinstance(other, NotApplicable):
            said = one if isinstance(one, NotApplicable) else other
            deviation = f"{name}: only one of the two finds it not applicable: {said.reason}"
            compared.append(Comparison(name, np.array([np.inf]), np.array([1.0]), deviation))
    here, there = found.convergence_point, expected.convergence_point
    if isinstance(here, ConvergencePoint) and isinstance(there, ConvergencePoint):
        scale = max(1.0, float(np.abs(there.state).max(initial=0.0)))
        compared.append(_one("convergence point", here.state, there.state, scale))
    if isinstance(found.momentum, Momentum) and isinstance(expected.momentum, Momentum):
        compared += _compare_momentum(found.momentum, expected.momentum)
    if isinstance(found.clipping, Clipping) and isinstance(expected.clipping, Clipping):
        compared += _compare_clipping(found.clipping, expected.clipping)
    if isinstance(found.schedule, Schedule) and isinstance(expected.schedule, Schedule):
        compared.append(_one("rate by step", found.schedule.rate, expected.schedule.rate))
    if isinstance(found.adaptation, Adaptation) and isinstance(expected.adaptation, Adaptation):
        compared += _compare_adaptation(found.adaptation, expected.adaptation)
    return compared


def _one(
    quantity: str, found: Float, expected: Float, scale: Float | float | None = None
) -> Comparison:
    return compare_arrays(quantity, quantity, found, expected, "float64", "cpu", scale)


def _compare_momentum(found: Momentum, expected: Momentum) -> list[Comparison]:
    compared = [_one("momentum index", np.array(found.index), np.array(expected.index), 1.0)]
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


def _compare_clipping(found: Clipping, expected: Clipping) -> list[Comparison]:
    compared = []
    for where in ("h0", "h*"):
        one, other = found.at(where), expected.at(where)
        if one is not None and other is not None:
            half = other.half_saturation
            scale = np.where(np.isfinite(half), half, 1.0)
            label = f"half-saturation at {where}"
            compared.append(
                compare_arrays(
                    "half-saturation", label, one.half_saturation, half, "float64", "cpu", scale
                )
            )
    return compared


def _compare_adaptation(found: Adaptation, expected: Adaptation) -> list[Comparison]:
    condition = np.nan_to_num(expected.condition, nan=1.0)
    rate = np.nanmax(np.abs(expected.rate_reference), initial=0.0)
    size = np.maximum(1.0, np.abs(np.nan_to_num(expected.state)).max(axis=1, initial=0.0))
    return [
        _one("adapted state", found.state, expected.state, (condition * size)[:, None]),
        _one("adapted rate", found.rate_reference, expected.rate_reference, condition * rate),
        _one(
            "adapted rate, local",
            found.rate_local,
            expected.rate_local,
            condition * np.nanmax(np.abs(expected.rate_local), initial=rate),
        ),
    ]
