"""Comparison of the conclusions of two implementations about the same optimizer."""

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare, compare_arrays
from loptbench.agreement.tolerances import bound
from loptbench.mechanisms.clipping import update_function
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MechanismsResult,
    MomentumResult,
    NotApplicable,
    ScheduleResult,
    StatesResult,
)

Float = NDArray[np.float64]

STEPS_REMEMBERED = 100.0
"""Steps whose errors an adapted state has gathered, as the bound on the rate by step has it."""

PROBES = ("convergence_point", "momentum", "clipping", "schedule", "adaptation")


def compare_analyses(actual: MechanismsResult, expected: MechanismsResult) -> list[Comparison]:
    """Compare the conclusions of two implementations.

    Both must have been given the same gradient statistics, and must have been measured in this
    process: stored results lack the states that are compared. Eigenvalues are matched as sets, each
    within the bound times its condition number. Half-saturations are compared at h0 and h*, because
    the states of real runs differ.

    Args:
        actual: the analysis by the implementation.
        expected: the analysis by the oracle.

    Returns: a comparison for each quantity that both have.
    """
    comparisons: list[Comparison] = []
    for name in PROBES:
        comparisons += _compare_applicability(name, getattr(actual, name), getattr(expected, name))
    for name, kind, compare_results in (
        ("convergence_point", ConvergencePointResult, _compare_points),
        ("momentum", MomentumResult, _compare_momentum),
        ("clipping", ClippingResult, _compare_clipping),
        ("schedule", ScheduleResult, _compare_schedules),
        ("adaptation", AdaptationResult, _compare_adaptation),
    ):
        pair = getattr(actual, name), getattr(expected, name)
        if all(isinstance(result, kind) for result in pair):
            comparisons += compare_results(*pair)
    return comparisons


def _compare_applicability(probe: str, actual: object, expected: object) -> list[Comparison]:
    """A failed comparison if only one of two results is not applicable."""
    reasons = [result.reason for result in (actual, expected) if isinstance(result, NotApplicable)]
    if len(reasons) != 1:
        return []
    deviation = f"{probe}: only one of the two finds it not applicable: {reasons[0]}"
    return [Comparison(probe, np.array([np.inf]), np.array([1.0]), deviation)]


def _compare_quantity(
    quantity: str, actual: Float, expected: Float, scale: Float | float | None = None
) -> Comparison:
    return compare_arrays(quantity, quantity, actual, expected, "float64", "cpu", scale)


def _compare_points(
    actual: ConvergencePointResult, expected: ConvergencePointResult
) -> list[Comparison]:
    scale = max(1.0, float(np.abs(expected.state).max(initial=0.0)))
    return [_compare_quantity("convergence point", actual.state, expected.state, scale)]


def _compare_momentum(actual: MomentumResult, expected: MomentumResult) -> list[Comparison]:
    from scipy.optimize import linear_sum_assignment

    index = np.array(actual.index), np.array(expected.index)
    comparisons = [_compare_quantity("momentum index", *index, 1.0)]
    actual_values, expected_values = (
        np.array([complex(*mode.eigenvalue) for mode in result.modes])
        for result in (actual, expected)
    )
    if expected_values.size:
        distance = np.abs(actual_values[:, None] - expected_values[None, :])
        rows, columns = linear_sum_assignment(distance)
        condition = np.array([expected.modes[j].condition for j in columns])
        comparisons.append(
            compare(
                "eigenvalue, distance from its match",
                distance[rows, columns],
                np.zeros(len(rows)),
                condition,
                bound("eigenvalue", "float64"),
                ("eigenvalue",),
            )
        )
    return comparisons


def _compare_clipping(actual: ClippingResult, expected: ClippingResult) -> list[Comparison]:
    comparisons = []
    for where in ("h0", "h*"):
        functions = [update_function(result.states, where) for result in (actual, expected)]
        if None not in functions:
            actual_half, half = (function.half_saturation for function in functions if function)
            comparisons.append(
                compare_arrays(
                    "half-saturation",
                    f"half-saturation at {where}",
                    actual_half,
                    half,
                    "float64",
                    "cpu",
                    np.where(np.isfinite(half), half, 1.0),
                )
            )
    return comparisons


def _compare_schedules(actual: ScheduleResult, expected: ScheduleResult) -> list[Comparison]:
    return [_compare_quantity("rate by step", actual.rate, expected.rate)]


def _compare_adaptation(actual: AdaptationResult, expected: AdaptationResult) -> list[Comparison]:
    """Compare exact fixed points where both have one, and adapted states.

    The error of an adapted state is that of each of the steps behind it, as far as it is
    remembered: up to a hundred, or ‖(I − A)⁻¹‖ where a fixed point is near.
    """
    both = np.isfinite(actual.exact.residual) & np.isfinite(expected.exact.residual)
    condition = np.where(both, np.nan_to_num(expected.exact.condition, nan=1.0), 1.0)
    memory = np.maximum(STEPS_REMEMBERED, condition)
    comparisons = []
    for labels, states, factor, usable in (
        (("adapted state", "adapted rate"), "adapted", memory, ~expected.adapted.cycling),
        (("fixed point", "rate at the fixed point"), "exact", condition, both),
    ):
        pair = getattr(actual, states), getattr(expected, states)
        comparisons += _compare_states(labels, *pair, factor, usable)
    return comparisons


def _compare_states(
    labels: tuple[str, str],
    actual: StatesResult,
    expected: StatesResult,
    condition: Float,
    usable: NDArray[np.bool_],
) -> list[Comparison]:
    """States and rates, where they are to be compared.

    Args:
        labels: what the states and the rates are called.
        actual: those of the implementation.
        expected: those of the oracle.
        condition: how far an error of one step moves the state, (n_gradients,).
        usable: which of them to compare, (n_gradients,).
    """
    size = np.maximum(1.0, np.abs(np.nan_to_num(expected.state)).max(axis=1, initial=0.0))
    highest = np.nanmax(np.abs(expected.rate_reference), initial=0.0)
    highest_local = np.nanmax(np.abs(expected.rate_local), initial=highest)
    comparisons = []
    state, rate = labels
    for label, name, field, scale in (
        (state, "adapted state", "state", (condition * size)[:, None]),
        (rate, "adapted rate", "rate_reference", condition * highest),
        (f"{rate}, local", "adapted rate, local", "rate_local", condition * highest_local),
    ):
        comparisons.append(
            compare_arrays(
                name,
                label,
                getattr(actual, field)[usable],
                getattr(expected, field)[usable],
                "float64",
                "cpu",
                scale[usable],
            )
        )
    return comparisons
