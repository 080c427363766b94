"""The result of a conformance trial: the checks of one optimizer on one task."""

import enum

from loptbench.protocol import Level
from loptbench.results.schema.base import (
    Array1OrInfinite,
    NumberOrInfinite,
    Result,
    field,
    optional,
)


class CheckStatus(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ComparisonResult(Result):
    """One quantity of an implementation compared with the oracle's."""

    quantity: str = field("the quantity that was compared")
    ratio: NumberOrInfinite = field("largest error over its bound; the bound holds up to 1")
    error: NumberOrInfinite = field("largest scaled error over all steps")
    bound: NumberOrInfinite = field("smallest bound of the scaled error over all steps")
    deviation: str = field("where the bound is first exceeded, in words; empty if it never is")
    error_by_step: Array1OrInfinite | None = optional(
        "scaled error at each step, where it comes nearest to its bound, (n_steps,)"
    )
    bound_by_step: Array1OrInfinite | None = optional("its bound at each step, (n_steps,)")


class CheckResult(Result):
    """The outcome of one check."""

    check: str = field("the check's name")
    level: int = field("the level of the protocol", ge=int(min(Level)), le=int(max(Level)))
    status: CheckStatus = field("how the check ended")
    message: str = field("why it failed or was skipped; empty if it passed")
    ratio: NumberOrInfinite = field("largest error over its bound, of all comparisons")
    comparisons: tuple[ComparisonResult, ...] = field("every quantity that was compared")


class ConformanceResult(Result):
    """The checks of one optimizer on one task."""

    checks: tuple[CheckResult, ...] = field("the checks, in the order of the suite")
