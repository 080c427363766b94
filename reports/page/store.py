"""The report of a store."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.errors import StoreError
from loptbench.reports.page.elements import Bullets, Folded, Group, Item, Page, Part, Prose, Section
from loptbench.reports.page.render import html
from loptbench.reports.sections import figures
from loptbench.reports.sections.agreement import FAILED, PASSED, agreement_matrix
from loptbench.reports.sections.glossary import glossary
from loptbench.reports.sections.implementations import implementation_sections, tolerances_table
from loptbench.reports.sections.means import deviating_means, means_sentence
from loptbench.reports.sections.performance import (
    better_counts,
    checkpoints_table,
    task_sections,
    tuning_table,
)
from loptbench.reports.sections.provenance import mixed_facts, provenance, timings
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.subjects import subject_sections
from loptbench.reports.sections.verdicts import (
    RULE,
    highlights,
    summary,
    verdict_matrices,
    warnings,
)
from loptbench.results.store import Store

if TYPE_CHECKING:
    import pandas as pd

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
    makers: list[tuple[str, bool, Callable[[], list[Section]]]] = [
        ("Attention", False, lambda: _failures(report)),
        ("At a glance", True, lambda: _matrices(report, verdicts, verdict_warnings)),
        ("", False, lambda: _diverged(report)),
        ("Claims", False, lambda: subject_sections(report, verdicts)),
        ("Tasks", False, lambda: task_sections(report)),
        ("Implementations", False, lambda: implementation_sections(report)),
        ("Background", False, lambda: _background(report)),
    ]
    groups = []
    for title, beside, make in makers:
        sections = _guarded(title, make)
        if sections:
            groups.append(Group(title, sections, beside))
    title = f"Learned optimizers, put to the test: {report.name}"
    return Page(title, lead(report, verdicts), groups)


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


def lead(report: Report, verdicts: "pd.DataFrame") -> str:
    """One sentence: what was run, and what came out."""
    if not report.n_records:
        if report.damaged:
            return "Nothing in this store can be shown; the reasons are listed below."
        return "This store holds no results yet: run 'loptbench run'."
    trials = report.trials
    failed = trials[(trials.status == FAILED) & trials.trial.isin(["conformance", "mechanisms"])]
    wrong = sorted(set(failed.implementation))
    agreement = "no check of agreement was run"
    if (report.checks.status == PASSED).any():
        agreement = "every check that was run agrees with the reference"
    if wrong:
        agreement = f"disagreement with the reference in {', '.join(wrong)}"
    used = [name for name in report.names if name not in report.absent]
    parts = [
        f"The claims of arXiv 2011.02159 on learned optimizers, put to the test in "
        f"{report.n_records} trials of {', '.join(used)}",
        agreement,
    ]
    if report.n_missing:
        parts.append(f"{report.n_missing} planned trials are missing: this report is partial")
    if mixed_facts(report):
        parts.append("its records are of mixed provenance")
    parts += filter(None, [summary(verdicts)])
    better = better_counts(report)
    if better:
        parts.append(
            "learned optimizers that beat the best tuned baseline, in the mean loss of their runs: "
            + ", ".join(better)
        )
    return "; ".join(parts) + "."


def _failures(report: Report) -> list[Section]:
    """What failed or is missing; the report begins with it."""
    items = _with_status(report, FAILED) + deviating_means(report)
    items += [Item(f"left out: {sentence}", status="damaged") for sentence in report.damaged]
    if any("plan.json" in sentence for sentence in report.damaged):
        items.append(Item("whether anything is missing is not known", status="missing"))
    if report.n_missing:
        sentence = (
            f"{report.n_missing} of {len(report.trials)} planned trials have no record: run "
            "'loptbench run' again to continue"
        )
        items.append(Item(sentence, status="missing"))
    title = "What failed, or is missing"
    return [Section("failures", title, _folded(items), alarm=True)] if items else []


def _diverged(report: Report) -> list[Section]:
    """Trials in which runs diverged: results, but not to be overlooked."""
    items = _with_status(report, "diverged")
    return [Section("diverged", "Runs that diverged", _folded(items))] if items else []


def _with_status(report: Report, status: str) -> list[Item]:
    return [
        Item(
            f"{row.trial} of {row.optimizer} ({row.role}) on {row.task} in {row.implementation}, "
            f"{row.dtype}: {row.message}",
            status=status,
        )
        for row in report.trials[report.trials.status == status].itertuples()
    ]


def _folded(items: Sequence[Item]) -> list[Part]:
    parts: list[Part] = [Bullets(items[:MAX_UNFOLDED])]
    rest = items[MAX_UNFOLDED:]
    return [*parts, Folded(f"{len(rest)} more", [Bullets(rest)])] if rest else parts


def _matrices(
    report: Report, verdicts: "pd.DataFrame", verdict_warnings: Sequence[Part]
) -> list[Section]:
    """The verdict matrix and the agreement matrix."""
    parts: list[Part] = [*verdict_warnings]
    if not verdicts.empty:
        parts += highlights(verdicts, report.claims)
        parts += verdict_matrices(verdicts, report.claims)
        parts.append(Folded("How a verdict is reached", [Prose(RULE)]))
        parts.append(glossary(report.frame("checkpoints")))
    elif not verdict_warnings:
        parts = [Prose("This store has no verdicts: no learned optimizer has been measured yet.")]
    sections = [Section("verdicts", "What reproduces", parts)]
    if not report.checks.empty or report.absent:
        agreement = [agreement_matrix(report.checks, report.absent), *means_sentence(report)]
        sections.append(Section("agreement", "Do the implementations agree", agreement))
    return sections


def _background(report: Report) -> list[Section]:
    """Errors against bounds, the learned optimizers, the tuning, timings, provenance."""
    parts = {
        ("errors", "Errors against their bounds"): figures.errors(report),
        ("zoo", "Learned optimizers"): checkpoints_table(report),
        ("tuning", "Tuning of the baselines"): tuning_table(report),
        ("tolerances", "Tolerances"): tolerances_table(report),
        ("timings", "Timings"): timings(report),
        ("provenance", "Provenance"): provenance(report),
    }
    return [Section(anchor, title, own) for (anchor, title), own in parts.items() if own]
