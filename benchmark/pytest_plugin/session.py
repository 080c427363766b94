"""Collect the outcomes of a pytest session for its report.

Imported if `--loptbench-report` is given, and by the conformance tests, which attach their outcomes
to their reports in any case.
"""

import functools
import os
import shlex
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loptbench.pytest_plugin.selection import PROFILE, REQUIRE, SELECTED
from loptbench.results.session import (
    ERROR,
    FAILED,
    FAILURE_OUTCOMES,
    NOT_RUN,
    Failure,
    Session,
    Test,
    TestedImplementation,
)

if TYPE_CHECKING:
    from loptbench.conformance import Check, Outcome, Subject
    from loptbench.discovery import DiscoveredImplementation

OPTION = "--loptbench-report"
PROPERTY = "loptbench-outcome"
FILE = "loptbench_file"
COLLECTED = "loptbench_collected"
ENVIRONMENT = (REQUIRE, PROFILE, "PYTEST_ADDOPTS")
"""The variables that change what a session runs; the command that repeats it sets them."""


def attach_outcome(item: pytest.Item, outcome: "Outcome") -> None:
    """Attach the outcome of a check to its test report; called by the conformance test.

    The outcome becomes plain values, because pytest-xdist sends reports between processes.
    """
    row = {
        **_identity(item.config, outcome.check, outcome.subject),
        "status": outcome.status.value,
        "ratio": float(outcome.ratio) if outcome.comparisons else None,
        "message": outcome.message,
    }
    item.user_properties.append((PROPERTY, row))


def _identity(config: pytest.Config, check: "Check", subject: "Subject") -> dict[str, Any]:
    """The columns that identify a check; the implementation by the name that was asked for."""
    known = [e.name for e in config.stash.get(SELECTED, []) if _is(e, subject.implementation)]
    on_device = "" if subject.device == "cpu" else f" on {subject.device}"
    return {
        "implementation": known[0] if known else subject.implementation.name,
        "level": int(check.level),
        "task": subject.case.task.name,
        "optimizer": subject.case.label,
        "dtype": f"{subject.dtype}{on_device}",
        "check": check.name,
    }


def _is(entry: "DiscoveredImplementation", implementation: Any) -> bool:
    return entry.implementation is implementation


def start(config: pytest.Config, typed_path: str) -> None:
    """Register the plugin that writes the report to `typed_path`.

    A relative path starts from the folder in which pytest was called.

    In a worker of pytest-xdist, register one that sends the collected tests to the session.

    Raises:
        pytest.UsageError: the report cannot be written there, or not at all in this environment.
    """
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config), "loptbench-report")
        return
    path = config.invocation_params.dir / typed_path
    require_writable(path)
    try:
        from loptbench.reports.page.session import render  # noqa: F401  # raises now if it is missing
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"{OPTION} needs {error.name!r}, not installed: pip install 'loptbench[report]'"
        ) from error
    config.pluginmanager.register(Gatherer(config, path), "loptbench-report")


def require_writable(path: Path) -> None:
    """Refuse a path that a file cannot be written to.

    Raises:
        pytest.UsageError: the message says why.
    """
    remedy = "name a file in a folder that exists and is writable"
    if path.is_dir():
        raise pytest.UsageError(f"{OPTION}: {path} is a folder; {remedy}")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = f"cannot write {path}: {error.strerror}"
        raise pytest.UsageError(f"{OPTION}: {reason}; {remedy}") from error


class Collected:
    """The tests that a process collected and selected."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.selected: dict[str, dict[str, Any] | None] = {}
        self.n_deselected = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that `-k` and `-m` deselect."""
        self.n_deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember the selected tests: after an interruption, some have not been run."""
        from loptbench.conformance import Check, Subject

        for item in getattr(session, "items", ()):  # pytest-xdist leaves them to its workers
            match getattr(getattr(item, "callspec", None), "params", {}):
                case {"check": Check() as check, "subject": Subject() as subject}:
                    self.selected[self._name(item)] = _identity(self.config, check, subject)
                case _:
                    self.selected[self._name(item)] = None

    def _name(self, item: pytest.Item | pytest.TestReport | pytest.CollectReport) -> str:
        """The file and the test's name; pytest's own identifier drops files outside its root."""
        file, _, name = item.nodeid.partition("::")
        location = getattr(item, FILE, "") or (item.location[0] if item.location else "")
        if location:
            file = _file(self.config.rootpath, location)
        return f"{file}::{name}" if name else file


class Worker(Collected):
    """The plugin of a pytest-xdist worker: it sends the collected tests to the session."""

    def pytest_sessionfinish(self) -> None:
        """Send the collected tests to the session."""
        collected = {"selected": self.selected, "n_deselected": self.n_deselected}
        vars(self.config)["workeroutput"][COLLECTED] = collected


class Gatherer(Collected):
    """The plugin of a session: it collects outcomes, and writes the page at the end."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        super().__init__(config)
        self.path = path
        self.checks: dict[str, dict[str, Any]] = {}
        self.tests: dict[str, Test] = {}
        self.failures: list[Failure] = []
        self.cut_short = ""
        self.summary = ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the collected tests from a pytest-xdist worker; all workers collect the same."""
        collected = getattr(node, "workeroutput", {}).get(COLLECTED)
        if collected is not None:
            self.selected = collected["selected"]
            self.n_deselected = collected["n_deselected"]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the file's path to the report, which lacks it for files outside pytest's root."""
        report = yield
        vars(report)[FILE] = str(collector.path)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that cannot be imported, or that skips itself."""
        if report.failed:
            self._record_test(report, ERROR)
        elif report.skipped:
            self._record_test(report, "skipped")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test; of several for one test, the worst."""
        outcome = _outcome(report)
        if not outcome:
            return
        row = dict(report.user_properties).get(PROPERTY) if report.when == "call" else None
        if isinstance(row, Mapping):
            self._record_check(report, outcome, dict(row))
        else:
            self._record_test(report, outcome)

    def _record_check(self, report: pytest.TestReport, outcome: str, row: dict[str, Any]) -> None:
        if outcome == "xfailed":
            expected = _message(report)
            row |= {"status": outcome, "message": f"expected ({expected}): {row['message']}"}
        elif outcome == FAILED:
            row |= {"status": outcome, "message": row["message"] or _message(report)}
            self.failures.append(Failure(self._name(report), outcome, row["message"], check=row))
        self.checks[self._name(report)] = row

    def _record_test(self, report: pytest.TestReport | pytest.CollectReport, outcome: str) -> None:
        name, message = self._name(report), _message(report)
        if outcome in FAILURE_OUTCOMES:
            self.failures.append(Failure(name, outcome, message, report.longreprtext))
        elif name in self.tests and self.tests[name].outcome in FAILURE_OUTCOMES:
            return
        if not self._is_absent(name):
            self.tests[name] = Test(name, outcome, message)

    def _is_absent(self, name: str) -> bool:
        """Whether this is the placeholder test of an implementation that cannot be used."""
        absent = [e.name for e in self._entries() if e.implementation is None]
        return any(name.endswith(f"test_conformance.py::test_implementation[{a}]") for a in absent)

    def _entries(self) -> "list[DiscoveredImplementation]":
        return self.config.stash.get(SELECTED, [])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note an interruption: Ctrl-C, `pytest.exit`, or errors of collection."""
        self.cut_short = str(excinfo.value) or "interrupted from the keyboard"

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note an error inside pytest or a plugin."""
        self.cut_short = f"internal error: {_last_line(str(excrepr))}"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page; if it cannot be written, the session fails."""
        from loptbench.errors import LoptbenchError
        from loptbench.reports.page.session import render
        from loptbench.storage.files import write_atomically

        page = render(self.session(str(session.shouldfail or session.shouldstop or "")))
        try:
            # A message may contain half of a surrogate pair, which UTF-8 cannot encode.
            write_atomically(self.path, page.encode(errors="backslashreplace"))
            self.summary = f"loptbench report: {self.path}"
        except LoptbenchError as error:
            self.summary = f"loptbench report: {error}"
            session.exitstatus = session.exitstatus or pytest.ExitCode.INTERNAL_ERROR

    def session(self, stopped: str = "") -> Session:
        """The session's outcomes; `stopped` is why pytest stopped before the end, if it did."""
        ran = self.checks.keys() | self.tests.keys()
        unrun = {
            name: row
            for name, row in self.selected.items()
            if name not in ran and not self._is_absent(name)
        }
        unrun_checks = [row for row in unrun.values() if row is not None]
        empty = {"status": NOT_RUN, "ratio": None, "message": ""}
        missing = [{**row, **empty} for row in unrun_checks]
        unrun_tests = [Test(name, NOT_RUN) for name, row in unrun.items() if row is None]
        if unrun or not self.selected:
            self.cut_short = self.cut_short or stopped
        arguments = [str(argument) for argument in self.config.invocation_params.args]
        variables = [f"{n}={shlex.quote(os.environ[n])}" for n in ENVIRONMENT if n in os.environ]
        return Session(
            implementations=[tested(entry) for entry in self._entries()],
            checks=[*self.checks.values(), *missing],
            tests=[*self.tests.values(), *unrun_tests],
            failures=self.failures,
            n_deselected=self.n_deselected,
            cut_short=self.cut_short,
            command=" ".join([*variables, "pytest", shlex.join(arguments)]).strip(),
            folder=str(self.config.invocation_params.dir),
            environment=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        facts = {"pytest": pytest.__version__}
        if self._entries():
            facts["hypothesis profile"] = os.environ.get(PROFILE, "ci")
        return facts

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the path of the report."""
        terminalreporter.write_line(self.summary)


def tested(entry: "DiscoveredImplementation") -> TestedImplementation:
    """The facts that the page shows of an implementation, as plain values."""
    from loptbench.results.provenance import versions_of

    facts = {}
    implementation = entry.implementation
    if implementation is not None:
        versions = versions_of(implementation)
        facts = {
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
            "devices": ", ".join(implementation.devices),
            "dtypes": ", ".join(implementation.dtypes),
            "optimizers": ", ".join(implementation.optimizers),
            "tasks": ", ".join(implementation.tasks) or "none",
        }
    return TestedImplementation(
        entry.name, str(entry.availability), entry.source, entry.reason, entry.details, facts
    )


@functools.cache
def _file(root: Path, location: str) -> str:
    """A file's name in the report, which does not depend on where packages are installed."""
    path = Path(os.path.normpath(root / location))
    package = Path(__file__).parents[1]
    if path.is_relative_to(package):
        return f"loptbench/{path.relative_to(package).as_posix()}"
    file = path.relative_to(root) if path.is_relative_to(root) else path
    return file.as_posix().rpartition("site-packages/")[2]


def _outcome(report: pytest.TestReport) -> str:
    """The outcome of a test; empty if this report does not decide it."""
    expected = hasattr(report, "wasxfail")
    if report.failed:
        return FAILED if report.when == "call" else ERROR
    if report.skipped:
        return "xfailed" if expected else "skipped"
    if report.passed and report.when == "call":
        return "xpassed" if expected else "passed"
    return ""


def _message(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The first line of the failure, or the reason of the skip."""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ") or "no reason given"
    longrepr = report.longrepr
    if isinstance(longrepr, tuple):
        return longrepr[2].removeprefix("Skipped: ")
    crash = getattr(longrepr, "reprcrash", None)
    if crash is None:
        return _last_line(report.longreprtext)
    return next(iter(str(crash.message).splitlines()), "")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("E").strip() if lines else ""
