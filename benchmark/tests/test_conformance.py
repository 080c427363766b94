"""Every implementation passes every check.

A third party runs this file on their own:

    pytest --pyargs loptbench.tests.test_conformance --implementation package.module:Object
"""

import pytest

from loptbench.conformance import Check, Status, Subject, run_check

pytestmark = pytest.mark.conformance


def test_implementation(check: Check, subject: Subject) -> None:
    outcome = run_check(check, subject)
    if outcome.status is Status.SKIPPED:
        pytest.skip(outcome.message)
    assert outcome.status is Status.PASSED, outcome.message
