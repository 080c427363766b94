"""Frames of the checks: conformance, and the agreement of probes with the oracle."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

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
from loptbench.results.plain import PlainRecord as Record

CHECKED = {
    **OPTIMIZER,
    "device": Column("the device of the computation"),
    "check": Column("the check; 'mechanisms' for the agreement of probes with the oracle"),
}


def _columns(record: Record, check: str) -> dict[str, Any]:
    device = record.key["device"]
    return {**optimizer_columns(record.key), "device": device, "check": check}


def _checks(contents: Contents) -> Iterator[Block]:
    for record in contents.of_kind("conformance"):
        for check in record.result["checks"]:
            ratio = check["ratio"]
            if ratio is None and check["status"] != "skipped" and check["comparisons"]:
                ratio = math.inf  # a ratio that is not finite stands as None in JSON
            yield {
                **_columns(record, check["check"]),
                "level": check["level"],
                "status": check["status"],
                "ratio": ratio,
                "message": check["message"],
                "record": record.name,
            }


CHECKS = Frame(
    "one check of one conformance trial",
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


def compared(contents: Contents) -> Iterator[tuple[Record, str, Mapping[str, Any]]]:
    """Every comparison: its record, the name of its check, and the comparison."""
    for record in contents.of_kind("conformance"):
        for check in record.result["checks"]:
            for comparison in check["comparisons"]:
                yield record, check["check"], comparison
    for record in contents.of_kind("mechanisms"):
        for comparison in record.result.get("agreement") or ():
            yield record, "mechanisms", comparison


def _comparisons(contents: Contents) -> Iterator[Block]:
    for record, check, comparison in compared(contents):
        ratio = comparison["ratio"]
        yield {
            **_columns(record, check),
            "quantity": comparison["quantity"],
            "error": comparison["error"],
            "bound": comparison["bound"],
            "ratio": math.inf if ratio is None else ratio,
            "deviation": comparison["deviation"],
            "record": record.name,
        }


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
    for record, check, comparison in compared(contents):
        errors = comparison.get("error_by_step")
        if errors is not None:
            yield {
                **_columns(record, check),
                "quantity": comparison["quantity"],
                "step": list(range(len(errors))),
                "error": errors,
                "bound": comparison["bound_by_step"],
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
