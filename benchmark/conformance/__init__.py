"""The conformance suite: the checks that an implementation has to pass, cheapest first."""

from loptbench.conformance.cases import Case, cases
from loptbench.conformance.subject import Subject
from loptbench.conformance.suite import (
    CHECKS,
    Check,
    Outcome,
    check_all,
    pairs,
    run_check,
    subjects,
)
from loptbench.results.schema.conformance import CheckStatus

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "CheckStatus",
    "Outcome",
    "Subject",
    "cases",
    "check_all",
    "pairs",
    "run_check",
    "subjects",
]
