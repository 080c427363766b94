"""Frames of the mechanisms: every number that the probes measure."""

import math
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    flag,
    number,
)
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.evaluation import evaluated
from loptbench.results.schema.base import Result
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MomentumResult,
    NotApplicable,
    ScheduleResult,
)
from loptbench.results.schema.records import Record

Measured = TypeVar("Measured", bound=Result)

ARMS = ("negative", "positive")
"""The signs of the gradient, in the order in which pairs of numbers are stored."""

PROBES: dict[str, type[Result]] = {
    "convergence_point": ConvergencePointResult,
    "momentum": MomentumResult,
    "clipping": ClippingResult,
    "schedule": ScheduleResult,
    "adaptation": AdaptationResult,
}

SCALARS = {
    probe: tuple(
        name
        for name, field in result_type.model_fields.items()
        if field.annotation in (float, int, bool, float | None)
    )
    for probe, result_type in PROBES.items()
}
"""The single numbers of each probe."""

PAIRS = {"adaptation": ("elasticity", "rank_correlation", "branch_ends")}
"""The numbers of each probe that are stored by the sign of the gradient, (2,)."""

AT_CONVERGENCE_POINT = ("half_saturation", "saturation_at_largest_gradient")
"""The pairs of clipping; those of the update function at h*."""

NO_NUMBER = "there is no such number, or it is not finite"


def _measured(
    contents: Contents, result_type: type[Measured]
) -> Iterator[tuple[Record, dict[str, Any], Measured]]:
    """The trials in which a probe applies: the record, its columns, the probe's result."""
    for record, result in contents.mechanisms():
        for probe in PROBES:
            answer = getattr(result, probe)
            if isinstance(answer, result_type):
                yield record, contents.optimizer_columns(record.key), answer


def _numbers(probe: str, result: Any) -> Iterator[tuple[str, str, float | None]]:
    """The numbers of a probe: quantity, sign of the gradient, value."""
    for name in SCALARS[probe]:
        yield name, "", getattr(result, name, None)
    pairs: tuple[str, ...] = PAIRS.get(probe, ())
    if probe == "clipping":
        states = getattr(result, "states", ())
        result = next((state for state in states if state.where == "h*"), None)
        yield "gain", "", getattr(result, "gain", None)
        pairs = AT_CONVERGENCE_POINT
    for name in pairs:
        for arm, value in zip(ARMS, getattr(result, name, (None, None)), strict=True):
            yield name, arm, value


def _mechanisms(contents: Contents) -> Iterator[Block]:
    for record, result in contents.mechanisms():
        columns = contents.optimizer_columns(record.key)
        for probe in PROBES:
            answer = getattr(result, probe)
            absent = answer.reason if isinstance(answer, NotApplicable) else NO_NUMBER
            quantities, arms, answers = zip(*_numbers(probe, answer), strict=True)
            values = [math.nan if value is None else float(value) for value in answers]
            yield {
                **columns,
                "probe": probe,
                "quantity": list(quantities),
                "arm": list(arms),
                "value": values,
                "reason": ["" if math.isfinite(value) else absent for value in values],
                "record": record.name,
            }


MECHANISMS = Frame(
    "one number of one probe",
    {
        **OPTIMIZER,
        **TRAINING,
        "probe": Column(f"the probe: {', '.join(PROBES)}"),
        "quantity": Column("the quantity"),
        "arm": Column("negative or positive, for a quantity of one sign of the gradient"),
        "value": number("its value; 1 and 0 for yes and no; NaN where there is none"),
        "reason": Column("why there is no finite value; empty if there is one"),
        **RECORD,
    },
    _mechanisms,
)


def _problems(contents: Contents) -> Iterator[Block]:
    for record, columns, evaluation in evaluated(contents):
        yield _of_problems(record, columns, "objective", evaluation.objective)
    for record, columns, momentum in _measured(contents, MomentumResult):
        if momentum.near is not None:
            yield _of_problems(record, columns, "linear_error", momentum.near.error)
            yield _of_problems(record, columns, "linear_variation", momentum.near.variation)
    for record, columns, clipping in _measured(contents, ClippingResult):
        if clipping.engagement_by_problem is not None:
            yield _of_problems(record, columns, "engagement", clipping.engagement_by_problem)


def _of_problems(
    record: Record, columns: dict[str, Any], quantity: str, values: NDArray[np.float64]
) -> Block:
    return {
        **columns,
        "quantity": quantity,
        "problem": np.arange(len(values)),
        "value": values,
        "record": record.name,
    }


PROBLEMS = Frame(
    "one number of one held-out problem",
    {
        **OPTIMIZER,
        **TRAINING,
        "quantity": Column(
            "objective (infinite if the run diverged); linear_error and linear_variation, the sums "
            "of squares whose ratio is 1 − R² near convergence; engagement, the share of gradients "
            "beyond half-saturation at h*"
        ),
        "problem": count("the number of the problem"),
        "value": number("the quantity"),
        **RECORD,
    },
    _problems,
)


def _modes(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in _measured(contents, MomentumResult):
        modes = momentum.modes
        yield {
            **columns,
            "mode": np.arange(len(modes)),
            "eigenvalue_real": [mode.eigenvalue[0] for mode in modes],
            "eigenvalue_imag": [mode.eigenvalue[1] for mode in modes],
            "timescale": [mode.timescale for mode in modes],
            "contribution": [mode.contribution for mode in modes],
            "condition": [mode.condition for mode in modes],
            "record": record.name,
        }


MODES = Frame(
    "one mode of the linear system at the convergence point",
    {
        **OPTIMIZER,
        **TRAINING,
        "mode": count("its place, from 0 for the largest contribution"),
        "eigenvalue_real": number("the real part of its eigenvalue"),
        "eigenvalue_imag": number("the imaginary part of its eigenvalue"),
        "timescale": number("after so long it has decayed to 1/e", "steps"),
        "contribution": number("the size of its part of the total response", "update / gradient"),
        "condition": number("the condition number of its eigenvalue"),
        **RECORD,
    },
    _modes,
)


def _impulse_responses(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in _measured(contents, MomentumResult):
        response = momentum.impulse_response
        lags = np.arange(len(response))
        yield {**columns, "lag": lags, "response": response, "record": record.name}


IMPULSE_RESPONSES = Frame(
    "the update some steps after a unit gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "lag": count("the time since the gradient", "steps"),
        "response": number("κ, the update", "update / gradient"),
        **RECORD,
    },
    _impulse_responses,
)


def _update_functions(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in _measured(contents, ClippingResult):
        for state in clipping.states:
            for i, (sign, arm) in enumerate(zip((-1.0, 1.0), ARMS, strict=True)):
                yield {
                    **columns,
                    "where": state.where,
                    "arm": arm,
                    "gradient": sign * clipping.gradients,
                    "update": state.update[i],
                    "gain": state.gain,
                    "half_saturation": float(state.half_saturation[i]),
                    "saturation_at_largest_gradient": float(
                        state.saturation_at_largest_gradient[i]
                    ),
                    "record": record.name,
                }


UPDATE_FUNCTIONS = Frame(
    "the update that one gradient causes in one state",
    {
        **OPTIMIZER,
        **TRAINING,
        "where": Column("the state: h0, h*, or one of real runs"),
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient": number("the gradient", "gradient"),
        "update": number("U(h, g) − U(h, 0), the part of the update that g causes", "update"),
        "gain": number("the slope of the update at gradient zero", "update / gradient"),
        "half_saturation": number(
            "the smallest |g| with half the linear update; infinite for none", "gradient"
        ),
        "saturation_at_largest_gradient": number("update / linear update at the largest gradient"),
        **RECORD,
    },
    _update_functions,
)


def _gradient_density(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in _measured(contents, ClippingResult):
        edges = 10.0**clipping.density.edges
        for arm, share in zip(ARMS, clipping.density.share, strict=True):
            yield {
                **columns,
                "arm": arm,
                "gradient_low": edges[:-1],
                "gradient_high": edges[1:],
                "share": share,
                "record": record.name,
            }


GRADIENT_DENSITY = Frame(
    "the share of the gradients of real runs in one bin of |g|",
    {
        **OPTIMIZER,
        **TRAINING,
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient_low": number("the lower edge of the bin of |g|", "gradient"),
        "gradient_high": number("the upper edge of the bin of |g|", "gradient"),
        "share": number("the share of all gradients; both signs together make 1"),
        **RECORD,
    },
    _gradient_density,
)


def _components(points: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The first three principal components, (n_points,) each; NaN where there are fewer."""
    padded = np.full((len(points), 3), np.nan)
    padded[:, : points.shape[1]] = points
    return {f"pc{i + 1}": padded[:, i] for i in range(3)}


COMPONENTS = {f"pc{i}": number(f"the state, along the principal component {i}") for i in (1, 2, 3)}


def _schedules(contents: Contents) -> Iterator[Block]:
    for record, columns, schedule in _measured(contents, ScheduleResult):
        yield {
            **columns,
            "step": np.arange(len(schedule.rate)),
            "rate": schedule.rate,
            **_components(schedule.trajectory),
            "record": record.name,
        }


SCHEDULES = Frame(
    "the learning rate at one step without a gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "step": count("the inner step", "steps"),
        "rate": number("the learning rate", "update / gradient"),
        **COMPONENTS,
        **RECORD,
    },
    _schedules,
)


def _adaptation(contents: Contents) -> Iterator[Block]:
    for record, columns, adaptation in _measured(contents, AdaptationResult):
        yield {
            **columns,
            "gradient": adaptation.gradients,
            "rate_reference": adaptation.rate_reference,
            "rate_local": adaptation.rate_local,
            "settled": adaptation.settled,
            "stable": adaptation.stable,
            "several_fixed_points": adaptation.several_fixed_points,
            **_components(adaptation.curve),
            "record": record.name,
        }


ADAPTATION = Frame(
    "the state to which one constant gradient leads",
    {
        **OPTIMIZER,
        **TRAINING,
        "gradient": number("the gradient that stays", "gradient"),
        "rate_reference": number(
            "the learning rate for small gradients in that state", "update / gradient"
        ),
        "rate_local": number("the learning rate at the gradient itself", "update / gradient"),
        "settled": flag("whether the state has come to rest"),
        "stable": flag("whether the fixed point is stable"),
        "several_fixed_points": flag("whether other starts lead to another fixed point"),
        **COMPONENTS,
        **RECORD,
    },
    _adaptation,
)
