"""The page of a pytest session: what it tested, and what came out.

Needs nothing for figures: it is made in environments that have the extra `test` alone.
"""

import dataclasses
import os
import platform
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from loptbench.conformance import CHECKS
from loptbench.discovery import DiscoveredImplementation
from loptbench.protocol import Level
from loptbench.pytest_plugin.plugin import PROFILE
from loptbench.pytest_plugin.session import BAD, Failure, Session, Test
from loptbench.reports.page.elements import (
    Bullets,
    Cell,
    Code,
    Folded,
    Group,
    Page,
    Part,
    Prose,
    Section,
    Table,
    Value,
    anchor,
)
from loptbench.reports.page.render import html
from loptbench.reports.sections.agreement import (
    FAILED,
    NOT_RUN,
    PASSED,
    SKIPPED,
    CheckRow,
    agreement_matrix,
)
from loptbench.results.provenance import machine, versions_of

XFAILED, ERROR = "xfailed", "error"
WORST_FIRST = (FAILED, NOT_RUN, XFAILED, PASSED, SKIPPED)
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed", "not run")
LOOKS = {ERROR: "broken", XFAILED: SKIPPED, "xpassed": "changed"}
"""The looks of outcomes that the page has no look of their own for."""
LONGEST = 2000
"""Characters of a message: a test of somebody else may print an array."""


def render(session: Session) -> str:
    """The report of a test session, as a string of HTML; the same outcomes give the same bytes."""
    return html(page(session))


def page(session: Session) -> Page:
    """The report of a test session."""
    rows = [CheckRow(**check) for check in session.checks]
    rows.sort(key=_place)
    entries = list({entry.name: entry for entry in session.entries}.values())
    told = [_implementation(entry, rows) for entry in entries]
    listed = {entry.name for entry in entries}
    told += [_unlisted(name, rows) for name in _names(rows) if name not in listed]
    groups = [
        Group("Verdicts", [*_failures(session.failures), _agreement(session, rows, entries)]),
        Group("Implementations", told),
        Group("Other tests", list(_others(session.tests))),
        Group("Provenance", [_provenance(session)]),
    ]
    return Page(
        "loptbench: a test session",
        lead(session, rows, entries),
        [group for group in groups if group.sections],
    )


def _place(row: CheckRow) -> tuple[Any, ...]:
    """Failures first, then in the order of the checks: that of the session may be any."""
    order = [check.name for check in CHECKS]
    known = order.index(row.check) if row.check in order else len(order)
    rank = WORST_FIRST.index(row.status)
    return (rank if rank < 2 else 2, row.level, known, row.task, row.optimizer, row.dtype, rank)


def _names(rows: Iterable[CheckRow]) -> list[str]:
    return sorted({row.implementation for row in rows})


def lead(
    session: Session, rows: Sequence[CheckRow], entries: Sequence[DiscoveredImplementation]
) -> str:
    """One sentence: what was tested, and what came out."""
    parts = []
    n_unrun = sum(one.status == NOT_RUN for one in rows)
    n_unrun += sum(one.outcome == NOT_RUN for one in session.tests)
    if session.cut_short:
        cut = f"the session was cut short ({_cut(session.cut_short)})"
        parts.append(f"{cut}, and {_n(n_unrun, 'selected test')} not run" if n_unrun else cut)
    parts.append(_checks_in_words(rows))
    parts += [f"{e.name} is {e.availability}" for e in entries if e.implementation is None]
    if session.tests:
        counts = Counter(test.outcome for test in session.tests)
        bad = [f"{counts[FAILED] or 'none'} failed"]
        if counts[ERROR]:
            bad.append(f"{counts[ERROR]} ended in an error")
        rest = [f"{counts[o]} {o}" for o in OUTCOMES if o not in BAD and counts[o]]
        kind = "other test" if rows else "test"
        parts.append(f"of {_n(len(session.tests), kind)}, {', '.join(bad + rest)}")
    elif not rows:
        left = f": {_unselected(session)}" if session.n_deselected else ""
        parts.append(f"no test was run{left}")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def _checks_in_words(rows: Sequence[CheckRow]) -> str:
    ran = [row for row in rows if row.status != NOT_RUN]
    if not ran:
        return "no conformance check was run"
    counts = Counter(row.status for row in ran)
    words = {PASSED: "passed", SKIPPED: "do not apply", XFAILED: "failed as expected"}
    rest = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
    said = f"{_n(len(ran), 'conformance check')} of {_listed(_names(ran))}: "
    said += ", ".join([f"{counts[FAILED] or 'none'} failed", *rest])
    failed = [row for row in ran if row.status == FAILED]
    if failed and _names(failed) != _names(ran):
        said += f"; those that failed are of {_listed(_names(failed))}"
    if failed:
        return said
    ratio = max((row.ratio for row in ran if row.ratio is not None), default=None)
    return said if ratio is None else f"{said}; the largest error is {ratio:.2g} of its bound"


def _failures(failures: Sequence[Failure]) -> list[Section]:
    """What failed first, and a table of all that did."""
    if not failures:
        return []
    first = failures[0]
    parts: list[Part] = [
        Prose("First, in the order of the session:"),
        Bullets([Cell(_cut(first.message), status=FAILED, note=first.name)]),
    ]
    if first.check is not None:
        name, check = str(first.check["implementation"]), str(first.check["check"])
        parts.append(Code(f"loptbench check {shlex.quote(name)} --only {check}"))
    elif first.details:
        parts.append(Folded("Its traceback", [Code(first.details)]))
    rows: list[list[Value | Cell]] = [
        [one.name, Cell(one.outcome, status=_look(one.outcome)), _cut(one.message)]
        for one in failures
    ]
    caption = "Every test that failed or ended in an error, in the order of the session."
    parts.append(Table("failures", caption, ["test", "outcome", "message"], rows))
    return [Section("what-failed", "What failed", parts, alarm=True)]


def _agreement(
    session: Session, rows: Sequence[CheckRow], entries: Sequence[DiscoveredImplementation]
) -> Section:
    absent = {e.name: (str(e.availability), e.reason) for e in entries if e.implementation is None}
    parts: list[Part] = []
    if rows:
        parts.append(agreement_matrix([_as_matrix(row) for row in rows], absent))
    else:
        parts.append(Prose("No conformance check was run, so there is nothing to compare."))
        parts.append(Bullets([Cell(f"{n}: {why}", status=how) for n, (how, why) in absent.items()]))
    if session.n_deselected:
        parts.append(Prose(f"Of the tests that were collected, {_unselected(session)}."))
    return Section("agreement", "Agreement with the reference", parts)


def _as_matrix(row: CheckRow) -> CheckRow:
    """The matrix knows no failure that was expected: it counts with what does not apply."""
    return dataclasses.replace(row, status=SKIPPED) if row.status == XFAILED else row


def _implementation(entry: DiscoveredImplementation, rows: Sequence[CheckRow]) -> Section:
    one = entry.implementation
    if one is None:
        status = str(entry.availability)
        parts: list[Part] = [Bullets([Cell(entry.reason, status=status, note=entry.source)])]
        if entry.details:
            parts.append(Folded("Its traceback", [Code(entry.details)]))
        return _section(entry.name, parts)
    versions = ", ".join(f"{name} {version}" for name, version in versions_of(one).items())
    facts = {
        "Versions": versions,
        "devices": ", ".join(one.devices),
        "dtypes": ", ".join(one.dtypes),
        "optimizers": ", ".join(one.optimizers),
        "tasks": ", ".join(one.tasks) or "none",
        "found at": entry.source,
    }
    said = "; ".join(f"{name}: {value}" for name, value in facts.items())
    return _section(entry.name, [Prose(f"{said}."), *_checks(entry.name, rows)])


def _unlisted(name: str, rows: Sequence[CheckRow]) -> Section:
    """The section of an implementation that tests of somebody else handed outcomes of."""
    return _section(name, _checks(name, rows))


def _section(name: str, parts: Sequence[Part]) -> Section:
    return Section(anchor("implementation", name), name, parts)


def _checks(name: str, rows: Sequence[CheckRow]) -> list[Part]:
    own = [row for row in rows if row.implementation == name]
    if not own:
        return [Prose("None of its checks was run.")]
    lines: list[list[Value | Cell]] = [
        [
            row.check,
            f"{row.level} {Level(row.level).label}",
            row.task,
            row.optimizer,
            row.dtype,
            Cell(row.status, status=_look(row.status)),
            Cell(row.ratio),
            _cut(row.message),
        ]
        for row in own
    ]
    columns = ["check", "level", "task", "optimizer", "dtype", "status", "error over bound"]
    caption = f"The checks of {name}, failures first; below 1 an error is within its bound."
    return [Table(f"checks-{name}", caption, [*columns, "message"], lines)]


def _others(tests: Sequence[Test]) -> Iterable[Section]:
    """Tests other than conformance by module, and the reasons of those that tell nothing."""
    if not tests:
        return
    modules = sorted({test.module for test in tests})
    counts = Counter((test.module, test.outcome) for test in tests)
    lines: list[list[Value | Cell]] = [
        [module, *(_count(counts[module, outcome], outcome) for outcome in OUTCOMES)]
        for module in modules
    ]
    caption = "How many tests of each module ended how; a check of an implementation is not one."
    columns = ["module", *OUTCOMES]
    yield Section("modules", "By module", [Table("by-module", caption, columns, lines)])
    why: dict[tuple[str, str], list[Test]] = {}
    for test in tests:
        if test.outcome in (SKIPPED, XFAILED):
            why.setdefault((test.outcome, test.message), []).append(test)
    if why:
        reasons: list[list[Value | Cell]] = [
            [
                _cut(reason),
                Cell(outcome, status=_look(outcome)),
                len(those),
                ", ".join(sorted({test.module for test in those})),
            ]
            for (outcome, reason), those in sorted(why.items())
        ]
        caption = "Tests that were skipped, or failed as expected, by their reasons."
        table = Table("reasons", caption, ["reason", "outcome", "tests", "modules"], reasons)
        yield Section("skipped", "Skipped, and why", [table])


def _count(n: int, outcome: str) -> Cell:
    return Cell(n, status=_look(outcome) if n and outcome in (*BAD, NOT_RUN) else "")


def _provenance(session: Session) -> Section:
    facts = {
        **{name: "unknown" if value is None else str(value) for name, value in machine().items()},
        "python implementation": platform.python_implementation(),
        "pytest": pytest.__version__,
    }
    if session.entries:
        facts["hypothesis profile"] = os.environ.get(PROFILE, "ci")
    table = Table(
        "session-provenance",
        "Where these outcomes come from; the versions of each implementation stand with it.",
        ["fact", "value"],
        list(facts.items()),
    )
    again = Prose(f"This page is made again, in the folder {session.folder}, by:")
    return Section("provenance", "Provenance", [again, Code(session.command), table])


def _look(status: str) -> str:
    return LOOKS.get(status, status)


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … ({len(text)} characters)"


def _unselected(session: Session) -> str:
    n = session.n_deselected
    return f"{n} {'was' if n == 1 else 'were'} not selected"


def _n(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)
