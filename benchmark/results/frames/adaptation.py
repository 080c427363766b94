"""The frame of adaptation: the states that belong to constant gradients, and their rates."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    flag,
    number,
)
from loptbench.results.frames.components import COMPONENTS, components
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.schema.mechanisms import AdaptationResult

ADAPTED, EXACT, SETTLED = "adapted", "exact", "settled"
"""The kinds of states: h_T(g); fixed points h*(g); those of edition 1."""

NOT_SETTLED = "the state does not come to rest within 2,250 steps"


def _adaptation(contents: Contents) -> Iterator[Block]:
    for record, columns, result in measured(contents, AdaptationResult):
        for kind, values in (
            (ADAPTED, _adapted(result)),
            (EXACT, _exact(result)),
            (SETTLED, _settled(result)),
        ):
            yield {**columns, **ABSENT, **values, "states": kind, "record": record.name}


def _adapted(result: AdaptationResult) -> dict[str, Any]:
    states = result.adapted
    return {
        "gradient": states.gradients,
        "rate_reference": states.rate_reference,
        "rate_local": states.rate_local,
        "rate_reference_2T": states.rate_reference_later,
        "remaining_change": states.remaining_change,
        "speed": states.speed,
        "cycling": states.cycling,
        "reason": list(states.reason),
        **components(states.curve),
    }


def _exact(result: AdaptationResult) -> dict[str, Any]:
    states = result.exact
    return {
        "gradient": states.gradients,
        "rate_reference": states.rate_reference,
        "rate_local": states.rate_local,
        "residual": states.residual,
        "spectral_radius": states.spectral_radius,
        # Where no fixed point was found, there is none to be stable or to have a second one.
        "stable": _where(np.isfinite(states.residual), states.stable),
        "several": _where(np.isfinite(states.residual), states.several),
        "reason": list(states.reason),
        **components(states.curve),
    }


def _settled(result: AdaptationResult) -> dict[str, Any]:
    return {
        "gradient": result.gradients,
        "rate_reference": result.rate_reference,
        "rate_local": result.rate_local,
        "stable": _where(result.settled, result.stable),
        "several": _where(result.settled, result.several_fixed_points),
        "reason": ["" if settled else NOT_SETTLED for settled in result.settled],
        **components(result.curve),
    }


def _where(applies: Any, values: Any) -> list[bool | None]:
    """Truth values, and None where they do not apply."""
    return [bool(value) if known else None for known, value in zip(applies, values, strict=True)]


_NOT_SO = "of {} states; NaN for the others"

ADAPTATION = Frame(
    "one state that belongs to a constant gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "states": Column(
            f"{ADAPTED}: the state after T steps of the gradient; {EXACT}: a fixed point under it; "
            f"{SETTLED}: what edition 1 measured, fixed points at which the state comes to rest "
            "within 2,250 steps"
        ),
        "gradient": number("the constant gradient", "gradient"),
        "rate_reference": number(
            "the learning rate for small gradients in that state; of a state that cycles, the mean "
            "over the cycle; NaN where there is none",
            "update / gradient",
        ),
        "rate_local": number("the learning rate at the gradient itself", "update / gradient"),
        "rate_reference_2T": number(
            f"rate_reference after 2 T steps, {_NOT_SO.format(ADAPTED)}", "update / gradient"
        ),
        "remaining_change": number(
            f"|rate_reference_2T / rate_reference − 1|, {_NOT_SO.format(ADAPTED)}"
        ),
        "speed": number(
            f"the largest change of a state entry in one more step, {_NOT_SO.format(ADAPTED)}",
            "state",
        ),
        "cycling": flag(f"whether the state moves in a cycle, of {ADAPTED} states; else NA"),
        "residual": number(
            f"max |F(h, g) − h| / max(1, |h|), {_NOT_SO.format(EXACT)}",
        ),
        "spectral_radius": number(
            f"the largest |eigenvalue| of ∂F/∂h, {_NOT_SO.format(EXACT)}",
        ),
        "stable": flag(
            f"whether small disturbances die out, of {EXACT} and {SETTLED} states; NA for the "
            "others, and where there is no fixed point"
        ),
        "several": flag("whether another fixed point is known; NA likewise"),
        "reason": Column("why there is no rate_reference; empty where there is one"),
        **COMPONENTS,
        **RECORD,
    },
    _adaptation,
)

ABSENT = {
    name: None if column.dtype == "boolean" else np.nan
    for name, column in ADAPTATION.columns.items()
    if column.dtype in ("boolean", "float64")
}
"""The values of columns that do not apply to a kind of states."""
