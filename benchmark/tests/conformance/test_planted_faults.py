"""Each planted fault fails the expected check with the expected message, and no check before it.

A test runs the expected check alone; those before it run in `slow`.
"""

import re

import pytest

from loptbench.conformance import CHECKS, CheckStatus, Outcome, check_all
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.optimizers import KINDS, SCHEDULED
from loptbench.tasks import TASKS
from loptbench.tests.conformance.planted_faults import FAULTS, Faultless

pytestmark = pytest.mark.harness


def first_failure(fault: type[Reference], *only: str) -> Outcome:
    outcomes = check_all(fault(), only=only)
    return next(outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_its_check_rejects(fault: type[Reference]) -> None:
    check, message = FAULTS[fault]
    failure = first_failure(fault, check)
    assert re.search(message, failure.message), failure.message


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_check_rejects_before(fault: type[Reference]) -> None:
    assert first_failure(fault).check.name == FAULTS[fault][0]


@pytest.mark.slow
def test_accepts_what_has_no_fault() -> None:
    outcomes = list(check_all(Faultless()))
    skipped = {o.check.name for o in outcomes if o.status is CheckStatus.SKIPPED}
    assert skipped == {"every-kind"}  # on the first task, where other checks run every kind
    outcomes = [o for o in outcomes if o.status is not CheckStatus.SKIPPED]
    assert {outcome.status for outcome in outcomes} == {CheckStatus.PASSED}
    assert {outcome.subject.case.task.name for outcome in outcomes} == set(TASKS)
    # Of the kinds with a schedule, one of each schedule stands for all.
    left_out = set(SCHEDULED) - {"cosine_adam", "exponential_momentum"}
    assert {outcome.subject.spec.kind for outcome in outcomes} == set(KINDS) - left_out
    assert len({outcome.check.name for outcome in outcomes}) == len(CHECKS)


def test_the_message_names_place_values_bound_and_subject() -> None:
    first = first_failure(next(iter(FAULTS)))
    assert re.fullmatch(
        r"component \d+, unit \d+: state = \S+, but should be \S+ ± \S+; "
        r"from state \(.*\) and gradient \S+; "
        r"this is what a reset gate after the matrix product would give "
        r"\[reference against reference, random gru, quadratic, evaluate, seed 7, float64\]",
        first.message,
    )
