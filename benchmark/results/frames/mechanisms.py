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


def measured(
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
    for record, columns, momentum in measured(contents, MomentumResult):
        if momentum.near is not None:
            yield _of_problems(record, columns, "linear_error", momentum.near.error)
            yield _of_problems(record, columns, "linear_variation", momentum.near.variation)
    for record, columns, clipping in measured(contents, ClippingResult):
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
