"""Frames of the checks: conformance, and the agreement of probes with the oracle."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from loptbench.protocol import Level
from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    Block,
    Column,
    Frame,
    count,
    number,
)
from loptbench.results.frames.contents import Contents, optimizer_columns
from loptbench.results.schema.conformance import ComparisonResult, ConformanceResult
from loptbench.results.schema.keys import TrialKey, TrialKind
from loptbench.results.schema.records import Record

WHOLE_TRIAL = "all"
"""The check of a row for a whole trial, which ended without a result or has not been run."""

CHECKED = {
    **OPTIMIZER,
    "device": Column("the device of the computation"),
    "check": Column(
        "the check; 'mechanisms' and 'evaluation' for the agreement of probes and of evaluated "
        f"losses with the oracle; '{WHOLE_TRIAL}' for a trial without a result"
    ),
}


def _columns(key: TrialKey, check: str) -> dict[str, Any]:
    return {**optimizer_columns(key), "device": key.device, "check": check}


def _checks(contents: Contents) -> Iterator[Block]:
    for key, record in contents.trials():
        result = record.result if record else None
        if isinstance(result, ConformanceResult):
            for check in result.checks:
                has_ratio = check.comparisons or check.ratio < math.inf
                yield {
                    **_columns(key, check.check),
                    "level": int(check.level),
                    "status": str(check.status),
                    "ratio": check.ratio if has_ratio else math.nan,
                    "message": check.message,
                    "record": key.name,
                }
        elif key.trial is TrialKind.CONFORMANCE:
            yield {
                **_columns(key, WHOLE_TRIAL),
                "level": [int(level) for level in Level],
                "status": "failed" if record else "not run",
                "ratio": math.nan,
                "message": record.message if record else "no record",
                "record": key.name,
            }


CHECKS = Frame(
    "one check of one conformance trial, or one level of a trial without a result",
    {
        **CHECKED,
        "level": count("the level of the check"),
        "status": Column("passed, failed, skipped or 'not run'"),
        "ratio": number("the largest error over its bound; a check passes up to 1"),
        "message": Column("where it failed, or why it was skipped"),
        **RECORD,
    },
    _checks,
)


def _compared(contents: Contents) -> Iterator[tuple[Record, str, ComparisonResult]]:
    """Every comparison: its record, the name of its check, and the comparison."""
    for record, conformance in contents.conformance():
        for check in conformance.checks:
            for comparison in check.comparisons:
                yield record, check.check, comparison
    for record, evaluated in contents.evaluations():
        for comparison in evaluated.agreement or ():
            yield record, "evaluation", comparison
    for record, mechanisms in contents.mechanisms():
        for comparison in mechanisms.agreement or ():
            yield record, "mechanisms", comparison


COMPARISON_FIELDS = ("quantity", "error", "bound", "ratio", "deviation")


def _comparisons(contents: Contents) -> Iterator[Block]:
    for record, check, comparison in _compared(contents):
        fields = {name: getattr(comparison, name) for name in COMPARISON_FIELDS}
        yield {**_columns(record.key, check), **fields, "record": record.name}


COMPARISONS = Frame(
    "one quantity that a check compares",
    {
        **CHECKED,
        "quantity": Column("the quantity"),
        "error": number("the largest error over steps"),
        "bound": number("the smallest bound over steps"),
        "ratio": number("the largest error over its bound"),
        "deviation": Column("where the error first exceeds its bound; empty if it never does"),
        **RECORD,
    },
    _comparisons,
)


def _check_steps(contents: Contents) -> Iterator[Block]:
    for record, check, comparison in _compared(contents):
        if comparison.error_by_step is not None:
            yield {
                **_columns(record.key, check),
                "quantity": comparison.quantity,
                "step": np.arange(len(comparison.error_by_step)),
                "error": comparison.error_by_step,
                "bound": comparison.bound_by_step,
                "record": record.name,
            }


CHECK_STEPS = Frame(
    "the error of one quantity at one step of a whole run",
    {
        **CHECKED,
        "quantity": Column("the quantity"),
        "step": count("the inner step", "steps"),
        "error": number("the error"),
        "bound": number("the bound of the error"),
        **RECORD,
    },
    _check_steps,
)
