"""The numbers of each probe, by quantity, horizon and sign of the gradient."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from loptbench.results.schema.base import Result
from loptbench.results.schema.mechanisms import (
    AdaptationReadings,
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MomentumResult,
    ScheduleResult,
    ScheduleSummary,
)

ARMS = ("negative", "positive")
"""The signs of the gradient, in the order in which pairs of numbers are stored."""

PROBES: dict[str, type[Result]] = {
    "convergence_point": ConvergencePointResult,
    "momentum": MomentumResult,
    "clipping": ClippingResult,
    "schedule": ScheduleResult,
    "adaptation": AdaptationResult,
}


class Quantity(NamedTuple):
    """One number of a probe.

    Attributes:
        name: what it is.
        horizon: after how many steps it is measured, T, 2T, 10T or 20T; exact, for fixed points;
            empty for a number with a single one.
        arm: the sign of the gradient; empty for a number of both.
        value: the number; NaN where there is none.
    """

    name: str
    horizon: str
    arm: str
    value: float


def _scalars(kind: type[Result]) -> tuple[str, ...]:
    """The names of the fields that are single numbers."""
    numbers = (float, int, bool, float | None)
    return tuple(name for name, info in kind.model_fields.items() if info.annotation in numbers)


SCALARS = {probe: _scalars(kind) for probe, kind in PROBES.items()}
"""The single numbers of each probe."""

BY_HORIZON = {
    "convergence_point": {
        "share_at_point": ("10T", "20T"),
        "share_nearer": ("10T", "20T"),
    },
    "clipping": {"saturation_loss": ("T", "2T")},
}
"""The numbers of each probe that are stored by horizon."""

PAIRS = {"adaptation": ("elasticity", "rank_correlation", "branch_ends")}
"""The numbers of each probe that are stored by the sign of the gradient, (2,)."""

AT_STATE = ("half_saturation", "saturation_at_largest_gradient")
"""The numbers of an update function that are stored by the sign of the gradient."""

STATES = {"": "h*", "_at_h0": "h0"}
"""The states with an update function of their own, by what their quantities' names end with."""

N_COMPONENTS = 3


def quantities(probe: str, result: Any) -> Iterator[Quantity]:
    """All numbers of a probe; NaN for all of them if the probe does not apply.

    >>> names = {quantity.name for quantity in quantities("clipping", None)}
    >>> "saturation_loss" in names, "gain_at_h0" in names
    (True, True)

    Args:
        probe: the probe.
        result: its result.
    """
    for name in SCALARS[probe]:
        yield _number(name, getattr(result, name, None))
    for name, horizons in BY_HORIZON.get(probe, {}).items():
        for horizon in horizons:
            yield _number(name, getattr(result, name, {}).get(horizon), horizon)
    for name in PAIRS.get(probe, ()):
        yield from _pair(name, getattr(result, name, None))
    yield _number("coverage", _attribute(result, "coverage", "share"))
    if probe == "clipping":
        yield from _update_functions(result)
    elif probe == "schedule":
        yield from _schedule(result)
    elif probe == "adaptation":
        yield from _adaptation(result)


def _number(name: str, value: float | None, horizon: str = "") -> Quantity:
    return Quantity(name, horizon, "", math.nan if value is None else float(value))


def _pair(name: str, values: Any, horizon: str = "") -> Iterator[Quantity]:
    for arm, value in zip(ARMS, (math.nan, math.nan) if values is None else values, strict=True):
        yield Quantity(name, horizon, arm, float(value))


def _attribute(result: Any, *path: str) -> Any:
    """An attribute of an attribute; None if one of them is missing."""
    for name in path:
        result = getattr(result, name, None)
    return result


def _update_functions(result: Any) -> Iterator[Quantity]:
    by_state = {state.where: state for state in getattr(result, "states", ())}
    for ending, where in STATES.items():
        state = by_state.get(where)
        yield _number(f"gain{ending}", getattr(state, "gain", None))
        for name in AT_STATE:
            yield from _pair(f"{name}{ending}", getattr(state, name, None))


def _schedule(result: Any) -> Iterator[Quantity]:
    for name in _scalars(ScheduleSummary):
        yield _number(name, _attribute(result, "longer", name), "2T")
        yield _number(f"met_{name}", _attribute(result, "met", name))
    yield from _variances("trajectory_", result)


def _adaptation(result: Any) -> Iterator[Quantity]:
    ratio = getattr(result, "ratio", {})
    readings = getattr(result, "readings", {})
    for horizon in ("T", "2T"):
        yield from _pair("ratio", ratio.get(horizon), horizon)
    yield from _pair("ratio", _attribute(result, "exact", "ratio"), "exact")
    for horizon in ("T", "2T", "exact"):
        for name in AdaptationReadings.model_fields:
            yield from _pair(name, getattr(readings.get(horizon), name, None), horizon)
    yield _number("adapted_coverage", _attribute(result, "adapted", "coverage"))
    yield _number("exact_coverage", _attribute(result, "exact", "coverage"))
    for name in ("share_unchanged", "order"):
        yield _number(f"adapted_{name}", _attribute(result, "adapted", name))
    yield from _variances("adapted_", _attribute(result, "adapted"))
    yield from _variances("", result)


def _variances(prefix: str, holder: Any) -> Iterator[Quantity]:
    """The share of the variance of each principal component."""
    variance = np.full(N_COMPONENTS, math.nan)
    shares = getattr(holder, "variance", np.zeros(0))[:N_COMPONENTS]
    variance[: len(shares)] = shares
    if len(shares):
        variance[len(shares) :] = 0.0  # a state with fewer entries has no further component
    for i, value in enumerate(variance, 1):
        yield _number(f"{prefix}variance_{i}", value)
