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
from loptbench.results.frames.quantities import PROBES, quantities
from loptbench.results.schema.base import Result
from loptbench.results.schema.mechanisms import (
    ClippingResult,
    MomentumResult,
    NotApplicable,
)
from loptbench.results.schema.records import Record

Measured = TypeVar("Measured", bound=Result)

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


def _mechanisms(contents: Contents) -> Iterator[Block]:
    for record, result in contents.mechanisms():
        columns = contents.optimizer_columns(record.key)
        for probe in PROBES:
            answer = getattr(result, probe)
            absent = answer.reason if isinstance(answer, NotApplicable) else NO_NUMBER
            names, horizons, arms, values = zip(*quantities(probe, answer), strict=True)
            yield {
                **columns,
                "probe": probe,
                "quantity": list(names),
                "horizon": list(horizons),
                "arm": list(arms),
                "value": list(values),
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
        "horizon": Column(
            "T, 2T, 10T or 20T: after how many steps, for a quantity of several numbers of steps; "
            "exact, for one of fixed points; else empty"
        ),
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
        for ending, explained in (
            ("", momentum.near),
            ("_whole", momentum.whole),
            ("_last", momentum.last),
        ):
            if explained is not None:
                yield _of_problems(record, columns, f"linear_error{ending}", explained.error)
                variation = explained.variation
                yield _of_problems(record, columns, f"linear_variation{ending}", variation)
    for record, columns, clipping in measured(contents, ClippingResult):
        for name, values in (
            ("engagement", clipping.engagement_by_problem),
            ("engagement_at_h0", clipping.engagement_at_h0_by_problem),
        ):
            if values is not None:
                yield _of_problems(record, columns, name, values)
        if clipping.saturation is not None:
            yield _of_problems(record, columns, "saturation_actual", clipping.saturation.actual)
            yield _of_problems(record, columns, "saturation_linear", clipping.saturation.linear)


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
            "of squares whose ratio is 1 − R², of the second half of runs; with _whole and _last, "
            "of whole runs and of the last T of 5 T steps; engagement and engagement_at_h0, the "
            "share of gradients beyond half-saturation at h* and at h0; saturation_actual and "
            "saturation_linear, the sums whose ratio is 1 − saturation loss"
        ),
        "problem": count("the number of the problem"),
        "value": number("the quantity"),
        **RECORD,
    },
    _problems,
)
