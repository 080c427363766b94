"""Each planted fault fails the expected check first, with the expected message."""

import re

import pytest

from loptbench.conformance import CHECKS, CheckStatus, check_all
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.optimizers import KINDS
from loptbench.tasks import TASKS
from loptbench.tests.conformance.planted_faults import FAULTS, Faultless

pytestmark = pytest.mark.harness


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_rejects(fault: type[Reference]) -> None:
    check, message = FAULTS[fault]
    first = next(outcome for outcome in check_all(fault()) if outcome.status is CheckStatus.FAILED)
    assert first.check.name == check
    assert re.search(message, first.message), first.message


@pytest.mark.slow
def test_accepts_what_has_no_fault() -> None:
    outcomes = list(check_all(Faultless()))
    skipped = {o.check.name for o in outcomes if o.status is CheckStatus.SKIPPED}
    assert skipped == {"every-kind"}  # on the first task, where other checks run every kind
    outcomes = [o for o in outcomes if o.status is not CheckStatus.SKIPPED]
    assert {outcome.status for outcome in outcomes} == {CheckStatus.PASSED}
    assert {outcome.subject.case.task.name for outcome in outcomes} == set(TASKS)
    assert {outcome.subject.spec.kind for outcome in outcomes} == set(KINDS)
    assert len({outcome.check.name for outcome in outcomes}) == len(CHECKS)


def test_the_message_names_place_values_bound_and_subject() -> None:
    fault = next(iter(FAULTS))
    first = next(outcome for outcome in check_all(fault()) if outcome.status is CheckStatus.FAILED)
    assert re.fullmatch(
        r"component \d+, unit \d+: state = \S+, but should be \S+ ± \S+; "
        r"from state \(.*\) and gradient \S+; "
        r"this is what a reset gate after the matrix product would give "
        r"\[reference against reference, random gru, quadratic, evaluate, seed 7, float64\]",
        first.message,
    )
