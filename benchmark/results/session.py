"""The results of a pytest session for its report, as plain values.

`loptbench.pytest_plugin` collects them; `loptbench.reports.page.session` makes the page.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

PASSED, FAILED, ERROR = "passed", "failed", "error"
SKIPPED, XFAILED, XPASSED, NOT_RUN = "skipped", "xfailed", "xpassed", "not run"
OUTCOMES = (PASSED, FAILED, ERROR, SKIPPED, XFAILED, XPASSED, NOT_RUN)
"""How a test can end."""
FAILURE_OUTCOMES = (FAILED, ERROR)
"""The outcomes that count as failures."""


@dataclasses.dataclass(frozen=True)
class Test:
    """The outcome of a test that is not a check of an implementation.

    Attributes:
        name: its file, and its name there.
        outcome: one of `OUTCOMES`.
        message: why, where there is something to say.
    """

    __test__ = False

    name: str
    outcome: str
    message: str = ""

    @property
    def module(self) -> str:
        """The file of the test."""
        return self.name.partition("::")[0]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A test that failed or ended in an error, in the session's order.

    Attributes:
        name: its file, and its name there.
        outcome: "failed" or "error".
        message: why it failed.
        details: the traceback; empty for a check, whose message is complete.
        check: for a check of an implementation, the fields of its row in `Session.checks`.
    """

    name: str
    outcome: str
    message: str
    details: str = ""
    check: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class TestedImplementation:
    """An implementation that the session was to test, usable or not.

    Attributes:
        name: what it is called on the command line.
        availability: "installed", "not installed" or "broken".
        source: where it was found.
        reason: if it cannot be used, why, and what to do.
        details: for a broken one, the traceback.
        facts: what it offers, such as its devices and dtypes, and the versions of its packages.
    """

    __test__ = False

    name: str
    availability: str
    source: str
    reason: str = ""
    details: str = ""
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_usable(self) -> bool:
        """Whether it could be tested."""
        return self.availability == "installed"


@dataclasses.dataclass(frozen=True)
class Session:
    """The results of a session.

    Attributes:
        implementations: those that it was to test, usable or not.
        checks: for every check of an implementation: implementation, level, task, optimizer,
            dtype, check, status, ratio (largest error over its bound; None where nothing was
            compared) and message. A status is one of `OUTCOMES`.
        tests: every other test.
        failures: what failed, in the session's order.
        n_deselected: how many tests were collected and not selected.
        cut_short: why the session ended early; empty if it did not.
        command: what makes the report again.
        folder: where that was typed.
        environment: facts about the session, such as the version of pytest.
    """

    implementations: Sequence[TestedImplementation] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    tests: Sequence[Test] = ()
    failures: Sequence[Failure] = ()
    n_deselected: int = 0
    cut_short: str = ""
    command: str = "pytest"
    folder: str = "."
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
