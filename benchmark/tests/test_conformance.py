"""Every implementation passes every check.

Authors of other implementations run this file on theirs; `--loptbench-report` writes a report:

    pytest --pyargs loptbench.tests.test_conformance \
        --loptbench-implementation package.module:Object --loptbench-report report.html
"""

import pytest

from loptbench.conformance import Check, CheckStatus, Subject, run_check
from loptbench.discovery import DiscoveredImplementation
from loptbench.pytest_plugin.session import attach_outcome

pytestmark = pytest.mark.conformance


def test_implementation(
    check: Check, subject: Subject | DiscoveredImplementation, request: pytest.FixtureRequest
) -> None:
    if isinstance(subject, DiscoveredImplementation):
        pytest.fail(f"{subject.name} is broken: {subject.reason}\n{subject.details}", pytrace=False)
    outcome = run_check(check, subject)
    attach_outcome(request.node, outcome)
    if outcome.status is CheckStatus.SKIPPED:
        pytest.skip(outcome.message)
    assert outcome.status is CheckStatus.PASSED, outcome.message
