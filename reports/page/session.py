"""The page of a pytest session: what it tested, and how that ended.

It draws nothing, so it needs neither matplotlib nor seaborn.
"""

import platform
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from loptbench.conformance import CHECKS
from loptbench.reports.page.elements import (
    Bullets,
    Code,
    Folded,
    Group,
    Item,
    Page,
    Part,
    Prose,
    Section,
    Table,
    anchor,
)
from loptbench.reports.page.render import html
from loptbench.reports.page.tables import folded, or_prose
from loptbench.reports.sections.agreement import CHECK_COLUMNS, agreement_matrix, level_text
from loptbench.results.provenance import machine
from loptbench.results.session import (
    ERROR,
    FAILED,
    FAILURE_OUTCOMES,
    NOT_RUN,
    OUTCOMES,
    PASSED,
    SKIPPED,
    XFAILED,
    XPASSED,
    Failure,
    Session,
    Test,
    TestedImplementation,
)

if TYPE_CHECKING:
    import pandas as pd

WORST_FIRST = (FAILED, NOT_RUN, XFAILED, PASSED, SKIPPED)
STYLES = {ERROR: "broken", XFAILED: SKIPPED, XPASSED: "changed"}
"""How outcomes look that the page has no style of their own for."""
MAX_MESSAGE_LENGTH = 2000
"""Characters of a message that are shown: a test may print an array."""


def render(session: Session) -> str:
    """The report of a test session, as a string of HTML; the same outcomes give the same bytes."""
    return html(page(session))


def page(session: Session) -> Page:
    """The report of a test session."""
    checks = _checks(session)
    implementations = list({one.name: one for one in session.implementations}.values())
    names = [one.name for one in implementations]
    sections = [_implementation(one, checks) for one in implementations]
    # Somebody else's tests may hand over checks of an implementation that was not discovered.
    for name in sorted(set(checks.implementation) - set(names)):
        sections.append(Section(anchor("implementation", name), name, _own_checks(name, checks)))
    groups = [
        Group("Failures", _failures(session.failures)),
        Group("Agreement", [_agreement(session, checks)]),
        Group("Implementations", sections),
        Group("Other tests", list(_other_tests(session.tests))),
        Group("Provenance", [_provenance(session)]),
    ]
    return Page(
        "Does everything still hold?",
        answer(session, checks),
        [group for group in groups if group.sections],
        lead(session, checks),
    )


def answer(session: Session, checks: "pd.DataFrame") -> str:
    """The answer: whether anything failed, and whether all of it was run."""
    n_failed = int((checks.status == FAILED).sum())
    n_failed += sum(test.outcome in FAILURE_OUTCOMES for test in session.tests)
    n_failed = max(n_failed, len(session.failures))
    n_ran = int((checks.status != NOT_RUN).sum())
    n_ran += sum(test.outcome != NOT_RUN for test in session.tests)
    if n_failed:
        return f"No: {n_failed} of {_count(max(n_ran, n_failed), 'test')} failed."
    if session.cut_short:
        return f"Not decided: nothing failed in {_count(n_ran, 'test')}, but some were not run."
    return f"Yes: none of {_count(n_ran, 'test')} failed." if n_ran else "No test was run."


def _checks(session: Session) -> "pd.DataFrame":
    """The checks: failures first, then in the order of the suite, whatever the session's was."""
    import pandas as pd

    rows = [[_utf8(check[name]) for name in CHECK_COLUMNS] for check in session.checks]
    frame = pd.DataFrame(rows, columns=CHECK_COLUMNS)
    frame["ratio"] = frame.ratio.astype(float)
    order = {check.name: i for i, check in enumerate(CHECKS)}
    rank = frame.status.map(WORST_FIRST.index)
    frame = frame.assign(
        is_bad=rank.clip(upper=2), place=frame.check.map(order).fillna(len(order)), rank=rank
    )
    keys = ["is_bad", "level", "place", "task", "optimizer", "dtype", "rank", "implementation"]
    return frame.sort_values([*keys, "check", "message"], ignore_index=True)[CHECK_COLUMNS]


def lead(session: Session, checks: "pd.DataFrame") -> str:
    """One sentence: what was tested, and how it ended."""
    parts = []
    n_unrun = (checks.status == NOT_RUN).sum()
    n_unrun += sum(test.outcome == NOT_RUN for test in session.tests)
    if session.cut_short:
        cut = f"the session was cut short ({_shortened(session.cut_short)})"
        parts.append(f"{cut}, and {_count(n_unrun, 'selected test')} not run" if n_unrun else cut)
    parts.append(_summary_of_checks(checks))
    absent = [one for one in session.implementations if not one.is_usable]
    parts += [f"{one.name} is {one.availability}" for one in absent]
    if session.tests:
        counts = Counter(test.outcome for test in session.tests)
        bad = [f"{counts[FAILED] or 'none'} failed"]
        if counts[ERROR]:
            bad.append(f"{counts[ERROR]} ended in an error")
        rest = [f"{counts[o]} {o}" for o in OUTCOMES if o not in FAILURE_OUTCOMES and counts[o]]
        kind = "test" if checks.empty else "other test"
        parts.append(f"of {_count(len(session.tests), kind)}, {', '.join(bad + rest)}")
    elif checks.empty:
        deselected = f": {_not_selected(session)}" if session.n_deselected else ""
        parts.append(f"no test was run{deselected}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _summary_of_checks(checks: "pd.DataFrame") -> str:
    ran = checks[checks.status != NOT_RUN]
    if ran.empty:
        return "no conformance check was run"
    counts = ran.status.value_counts()
    labels = {PASSED: "passed", SKIPPED: "do not apply", XFAILED: "failed as expected"}
    rest = [f"{counts[status]} {label}" for status, label in labels.items() if status in counts]
    names = sorted(set(ran.implementation))
    summary = f"{_count(len(ran), 'conformance check')} of {_listed(names)}: "
    summary += ", ".join([f"{counts.get(FAILED, 'none')} failed", *rest])
    failed = sorted(set(ran.implementation[ran.status == FAILED]))
    if failed:
        which = f"; those that failed are of {_listed(failed)}" if failed != names else ""
        return summary + which
    ratio = ran.ratio.max()
    return f"{summary}; the largest error is {ratio:.2g} of its bound" if ratio >= 0 else summary


def _failures(failures: Sequence[Failure]) -> list[Section]:
    """The first failure, and a table of all."""
    import pandas as pd

    if not failures:
        return []
    first = failures[0]
    parts: list[Part] = [
        Prose("First, in the order of the session:"),
        Bullets([Item(_shortened(first.message), status=FAILED, note=first.name)]),
    ]
    if first.check is not None:
        name, check = str(first.check["implementation"]), str(first.check["check"])
        parts.append(Code(f"loptbench check {shlex.quote(name)} --only {check}"))
    elif first.details:
        parts.append(Folded("Its traceback", [Code(first.details)]))
    rows = [[_utf8(one.name), one.outcome, _shortened(one.message)] for one in failures]
    frame = pd.DataFrame(rows, columns=["test", "outcome", "message"])
    caption = "Every test that failed or ended in an error, in the order of the session."
    table = Table("failures", caption, frame, status=_styles(frame, "outcome"))
    parts += or_prose(table, "", "Every failure")
    return [Section("what-failed", "What failed", parts, alarm=True)]


def _agreement(session: Session, checks: "pd.DataFrame") -> Section:
    absent = {
        one.name: (one.availability, one.reason)
        for one in session.implementations
        if not one.is_usable
    }
    parts: list[Part] = []
    if checks.empty:
        parts.append(Prose("No conformance check was run, so there is nothing to compare."))
        items = [Item(f"{name}: {why}", status=how) for name, (how, why) in absent.items()]
        parts.append(Bullets(items))
    else:
        # An expected failure counts as a check that does not apply.
        parts.append(agreement_matrix(checks.replace({"status": {XFAILED: SKIPPED}}), absent))
    if session.n_deselected:
        parts.append(Prose(f"Of the tests that were collected, {_not_selected(session)}."))
    return Section("agreement", "Agreement with the reference", parts)


def _implementation(one: TestedImplementation, checks: "pd.DataFrame") -> Section:
    parts: list[Part]
    if one.is_usable:
        facts = {**one.facts, "found at": one.source}
        sentence = "; ".join(f"{name}: {value}" for name, value in facts.items())
        parts = [Prose(f"{sentence[:1].upper()}{sentence[1:]}."), *_own_checks(one.name, checks)]
    else:
        parts = [Bullets([Item(one.reason, status=one.availability, note=one.source)])]
        if one.details:
            parts.append(Folded("Its traceback", [Code(one.details)]))
    return Section(anchor("implementation", one.name), one.name, parts)


def _own_checks(name: str, checks: "pd.DataFrame") -> list[Part]:
    own = checks[checks.implementation == name]
    if own.empty:
        return [Prose("None of its checks was run.")]
    columns = ["check", "level", "task", "optimizer", "dtype", "status", "ratio", "message"]
    frame = own[columns].assign(
        level=own.level.map(level_text), message=own.message.map(_shortened)
    )
    caption = f"The checks of {name}, failures first; below 1 an error is within its bound."
    table = Table(
        anchor("checks", name),
        caption,
        frame,
        headings={"ratio": "error / bound"},
        status=_styles(frame, "status"),
    )
    return folded(table, f"Checks of {name}")


def _other_tests(tests: Sequence[Test]) -> Iterator[Section]:
    """Tests other than conformance by module, and why some were skipped."""
    import pandas as pd

    if not tests:
        return
    rows = [[_utf8(test.module), test.outcome, _shortened(test.message)] for test in tests]
    frame = pd.DataFrame(rows, columns=["module", "outcome", "reason"])
    counts = pd.crosstab(frame.module, frame.outcome).reindex(columns=OUTCOMES, fill_value=0)
    caption = "How the tests of each module ended; checks of implementations are not among them."
    marked = (*FAILURE_OUTCOMES, NOT_RUN)
    status = {o: [STYLES.get(o, o) if n and o in marked else "" for n in counts[o]] for o in counts}
    by_module = Table("by-module", caption, counts.reset_index(), status=status)
    yield Section("modules", "By module", folded(by_module, "Tests of each module"))
    skipped = frame[frame.outcome.isin([SKIPPED, XFAILED])]
    if skipped.empty:
        return
    reasons = skipped.groupby(["outcome", "reason"], as_index=False).agg(
        tests=("module", "size"), modules=("module", lambda names: ", ".join(sorted(set(names))))
    )
    caption = "Tests that were skipped, or failed as expected, by their reasons."
    reasons = reasons[["reason", "outcome", "tests", "modules"]]
    table = Table("reasons", caption, reasons, status=_styles(reasons, "outcome"))
    yield Section("skipped", "Skipped, and why", or_prose(table, "", "Reasons"))


def _provenance(session: Session) -> Section:
    import pandas as pd

    facts = {name: "unknown" if value is None else str(value) for name, value in machine().items()}
    facts["python implementation"] = platform.python_implementation()
    frame = pd.DataFrame(list({**facts, **session.environment}.items()), columns=["fact", "value"])
    caption = "Where these outcomes come from. Versions are listed with each implementation."
    again = Prose(f"To make this page again, in the folder {session.folder}:")
    table = Table("session-provenance", caption, frame)
    parts = [again, Code(session.command), *folded(table, "Versions and machine")]
    return Section("provenance", "Provenance", parts)


def _styles(frame: "pd.DataFrame", column: str) -> dict[str, list[str]]:
    """The statuses of a column of outcomes."""
    return {column: [STYLES.get(outcome, outcome) for outcome in frame[column]]}


def _utf8(value: Any) -> Any:
    """The value; of a text, what UTF-8 cannot hold, such as half a surrogate pair, is escaped."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _shortened(text: str) -> str:
    text = _utf8(text)
    if len(text) <= MAX_MESSAGE_LENGTH:
        return text
    return f"{text[:MAX_MESSAGE_LENGTH]} … ({len(text)} characters)"


def _not_selected(session: Session) -> str:
    n = session.n_deselected
    return f"{n} {'was' if n == 1 else 'were'} not selected"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)
