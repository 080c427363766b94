"""The page of a test session, from the outcomes of a session."""

import pytest

from loptbench.reports.page.session import page, render
from loptbench.results.session import Failure, Session, Test, TestedImplementation
from loptbench.tests.reports.pages import Page

pytestmark = pytest.mark.harness

CHECK = {
    "implementation": "mine:Mine",
    "level": 1,
    "task": "quadratic",
    "optimizer": "sgd",
    "dtype": "float64",
    "check": "one-step",
    "status": "passed",
    "ratio": 0.25,
    "message": "",
}
ABSENT = TestedImplementation("torch", "not installed", "there", "needs 'torch'")
BROKEN = TestedImplementation("odd", "broken", "here", "importing odd failed", "Traceback of odd")


def lead_of(session: Session) -> str:
    return page(session).note


def test_the_lead_says_what_was_tested_and_what_came_out() -> None:
    failed = {**CHECK, "check": "equivariance", "status": "failed", "ratio": 3.0}
    good = {**CHECK, "implementation": "reference"}
    tests = [Test("t.py::a", "passed"), Test("t.py::b", "skipped", "why")]
    assert lead_of(Session(checks=[CHECK])) == (
        "1 conformance check of mine:Mine: none failed, 1 passed; "
        "the largest error is 0.25 of its bound."
    )
    assert lead_of(
        Session(checks=[CHECK, failed, good], tests=tests, implementations=[ABSENT])
    ) == (
        "3 conformance checks of mine:Mine and reference: 1 failed, 2 passed; those that failed "
        "are of mine:Mine; torch is not installed; "
        "of 2 other tests, none failed, 1 passed, 1 skipped."
    )
    assert lead_of(Session()) == "No conformance check was run; no test was run."


def test_the_first_line_is_the_answer() -> None:
    failed = {**CHECK, "check": "equivariance", "status": "failed", "ratio": 3.0}
    assert page(Session(checks=[CHECK])).lead == "Yes: none of 1 test failed."
    assert page(Session(checks=[CHECK, failed])).lead == "No: 1 of 2 tests failed."
    cut = Session(checks=[CHECK, {**failed, "status": "not run"}], cut_short="interrupted")
    assert page(cut).lead == "Not decided: nothing failed in 1 test, but some were not run."
    assert page(Session()).lead == "No test was run."


def test_a_cut_session_says_so_first() -> None:
    unrun = [{**CHECK, "status": "not run", "ratio": None}]
    lead = lead_of(Session(checks=unrun, cut_short="interrupted from the keyboard"))
    assert lead.startswith(
        "The session was cut short (interrupted from the keyboard), and 1 selected test not run; "
    )


def test_the_matrix_leads_to_the_implementation() -> None:
    parsed = Page(render(Session(checks=[CHECK])))
    assert "#implementation-mine:Mine" in parsed.references
    assert "implementation-mine:Mine" in parsed.identifiers


def test_not_installed_broken_failed_and_skipped_look_different() -> None:
    checks = [{**CHECK, "status": "failed"}, {**CHECK, "check": "sweep", "status": "skipped"}]
    parsed = Page(render(Session(checks=checks, implementations=[ABSENT, BROKEN])))
    assert {"not-installed", "broken", "failed", "skipped"} <= set(parsed.classes)
    assert {"implementation-torch", "implementation-odd"} <= set(parsed.identifiers)
    assert "needs 'torch'" in parsed.text
    assert "Traceback of odd" in parsed.text
    without = Page(render(Session(implementations=[ABSENT, BROKEN])))
    assert {"not-installed", "broken"} <= set(without.classes)


def test_a_failure_that_was_expected_is_not_one() -> None:
    parsed = Page(render(Session(checks=[{**CHECK, "status": "xfailed", "ratio": 7.0}])))
    assert "1 failed as expected" in parsed.text
    assert "failed" not in parsed.classes


def test_names_and_messages_are_text() -> None:
    odd = "<script>alert(1)</script>"
    entry = TestedImplementation(odd, "broken", odd, odd, odd)
    session = Session(
        checks=[{**CHECK, "implementation": odd, "optimizer": odd, "message": odd}],
        tests=[Test(f"{odd}::{odd}", "skipped", odd)],
        failures=[Failure(odd, "failed", odd, odd)],
        implementations=[entry],
        command=odd,
    )
    parsed = Page(render(session))
    assert parsed.tags.count("script") == Page(render(Session())).tags.count("script") == 1
    assert parsed.text.count(odd) > 10


def test_the_same_outcomes_give_the_same_bytes() -> None:
    equivariance = {**CHECK, "check": "equivariance"}
    assert render(Session(checks=[CHECK, equivariance])) == render(
        Session(checks=[equivariance, CHECK])
    )
    assert render(Session(checks=[CHECK])) != render(Session(checks=[equivariance]))
