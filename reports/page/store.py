"""The report of a store."""

from collections.abc import Callable, Sequence
from pathlib import Path

from loptbench.errors import StoreError
from loptbench.reports.page.elements import Bullets, Folded, Group, Item, Page, Part, Prose, Section
from loptbench.reports.page.render import html
from loptbench.reports.sections import figures
from loptbench.reports.sections.agreement import FAILED, agreement_matrix
from loptbench.reports.sections.architectures import architectures_section
from loptbench.reports.sections.glossary import glossary
from loptbench.reports.sections.implementations import implementation_sections, tolerances_table
from loptbench.reports.sections.means import deviating_means, means_sentence
from loptbench.reports.sections.overview import QUESTION, WHAT, answer, overview
from loptbench.reports.sections.performance import checkpoints_table, tuning_table
from loptbench.reports.sections.provenance import provenance, timings
from loptbench.reports.sections.reference import reference_section
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.subjects import subject_sections
from loptbench.reports.sections.tables import tables
from loptbench.reports.sections.verdicts import warnings
from loptbench.results.store import Store

MAX_UNFOLDED = 20
"""Maximum number of failures that are listed unfolded."""


def render(store: Store, claims: int | str | Path | None = None) -> str:
    """The report of a store, as a string of HTML; the same records give the same bytes.

    Args:
        store: the store.
        claims: the claims whose verdicts are shown; see `Report`.
    """
    return html(page(store, claims))


def page(store: Store, claims: int | str | Path | None = None) -> Page:
    """The report of a store; the arguments are those of `render`."""
    report = Report(store, claims)
    verdicts = report.verdicts
    verdict_warnings = _verdict_warnings(report, len(report.frame("verdicts")) - len(verdicts))
    makers: list[tuple[str, Callable[[], list[Section]]]] = [
        ("Failures", lambda: _failures(report)),
        ("Overview", lambda: overview(report, verdict_warnings)),
        ("", lambda: subject_sections(report, verdicts)),
        ("Architectures", lambda: architectures_section(report)),
        ("Agreement", lambda: _agreement(report)),
        ("Shipped", lambda: reference_section(report)),
        ("Tables", lambda: [Section("tables", "Tables", tables(report))]),
        ("Origin", lambda: _background(report)),
    ]
    groups = []
    for title, make in makers:
        sections = _guarded(title or "Claims", make)
        if sections:
            groups.append(Group(title, sections))
    return Page(QUESTION, answer(report), groups, WHAT, report.sizes)


def _guarded(title: str, make: Callable[[], list[Section]]) -> list[Section]:
    """The sections; if making them fails, one section that gives the reason."""
    try:
        return make()
    except Exception as error:
        reason = (
            f"These sections cannot be shown, because a record has content that this version does "
            f"not expect ({type(error).__name__}: {error}). The others are complete."
        )
        anchor = f"not-shown-{title.lower().replace(' ', '-')}"
        return [Section(anchor, f"{title}: not shown", [Prose(reason)], alarm=True)]


def _verdict_warnings(report: Report, n_dropped: int) -> list[Part]:
    """Warnings about the verdicts of the store."""
    try:
        has_verdicts = bool(report.contents.verdicts) and report.are_stored
        are_current = not has_verdicts or report.store.verdicts_are_of(report.contents.records)
    except StoreError:
        are_current = True  # the damaged file is listed among the failures
    return warnings(n_dropped, are_current)


def _failures(report: Report) -> list[Section]:
    """What failed or is missing; the report begins with it."""
    items = []
    failed = report.trials[report.trials.status == FAILED]
    # What raised an exception was not compared.
    wrong = sorted(set(failed.implementation[~failed.message.str.startswith("raised ")]))
    if wrong:
        items.append(Item(f"disagreement with the reference in {', '.join(wrong)}", status=FAILED))
    items += _with_status(report, FAILED) + deviating_means(report)
    items += [Item(f"left out: {sentence}", status="damaged") for sentence in report.damaged]
    if any("plan.json" in sentence for sentence in report.damaged):
        items.append(Item("whether anything is missing is not known", status="missing"))
    if report.n_missing:
        sentence = (
            f"{report.n_missing} of {len(report.trials)} planned trials have no record: run "
            "'loptbench run' again to continue; this report is partial"
        )
        items.append(Item(sentence, status="missing"))
    title = "What failed, or is missing"
    return [Section("failures", title, _folded(items), alarm=True)] if items else []


def _with_status(report: Report, status: str) -> list[Item]:
    return [
        Item(
            f"{row.trial} of {row.optimizer} ({row.role}) on {row.task} in {row.implementation}, "
            f"{row.dtype}",
            status=status,
            note=row.message,
        )
        for row in report.trials[report.trials.status == status].itertuples()
    ]


def _folded(items: Sequence[Item]) -> list[Part]:
    parts: list[Part] = [Bullets(items[:MAX_UNFOLDED])]
    rest = items[MAX_UNFOLDED:]
    return [*parts, Folded(f"{len(rest)} more", [Bullets(rest)])] if rest else parts


def _agreement(report: Report) -> list[Section]:
    """How the implementations agree with the reference."""
    if report.checks.empty and not report.absent:
        return []
    matrix = agreement_matrix(report.checks, report.absent)
    parts = [*figures.agreement(report), *means_sentence(report)]
    parts.append(Folded("The worst error of each level and task", [matrix]))
    sections = [Section("agreement", "Do the implementations agree?", parts)]
    return [*sections, *implementation_sections(report)]


def _background(report: Report) -> list[Section]:
    """What diverged, the learned optimizers, the tuning, timings, provenance."""
    diverged = _with_status(report, "diverged")
    parts: dict[tuple[str, str], list[Part]] = {
        ("diverged", "Runs that diverged"): [Folded(f"{len(diverged)}", [Bullets(diverged)])]
        if diverged
        else [],
        ("zoo", "Learned optimizers"): checkpoints_table(report),
        ("tuning", "Tuning of the baselines"): _shown(tuning_table(report)),
        ("tolerances", "Tolerances"): [
            table.as_data("Every bound") for table in tolerances_table(report)
        ],
        ("timings", "Timings"): [table.as_data("Every time") for table in timings(report)],
        ("provenance", "Provenance"): provenance(report),
        ("terms", "Terms"): [glossary(report.frame("checkpoints"))],
    }
    return [Section(anchor, title, own) for (anchor, title), own in parts.items() if own]


def _shown(parts: list[Part]) -> list[Part]:
    """The parts, shown when asked for."""
    return [Folded("Show the table", parts)] if parts else []
