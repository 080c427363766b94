"""The report of a store: its records in, a page out."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from loptbench.claims.verdicts import Verdict
from loptbench.errors import StoreError
from loptbench.reports.page.elements import Bullets, Folded, Group, Item, Page, Part, Prose, Section
from loptbench.reports.page.render import html
from loptbench.reports.sections import provenance as origin
from loptbench.reports.sections.agreement import FAILED, PASSED, agreement_matrix
from loptbench.reports.sections.claims import (
    RULE,
    claim_sections,
    not_reproduced,
    verdict_matrix,
    verdicts_of,
    warnings,
)
from loptbench.reports.sections.evaluations import against_best, best_table, comparison, comparisons
from loptbench.reports.sections.glossary import glossary
from loptbench.reports.sections.implementations import (
    errors_figure,
    implementation_sections,
    tolerances_table,
)
from loptbench.reports.sections.results import Results, frame_of_checks
from loptbench.reports.sections.training import meta_training, preset_of, trained, zoo_table
from loptbench.reports.sections.verdict_words import one_line
from loptbench.results.plain import PlainRecord as Record
from loptbench.results.store import Store
from loptbench.tasks import TASKS

MANY = 20
"""More failures than these are folded."""


def render(store: Store) -> str:
    """The report of a store, as a string of HTML; the same records give the same bytes."""
    return html(page(store))


def page(store: Store) -> Page:
    """The report of a store."""
    results = Results.of(store)
    try:
        verdicts, n_dropped = verdicts_of(store.verdicts())
        are_of_these = not verdicts or store.verdicts_are_of(results.records)
    except StoreError as error:
        verdicts, n_dropped, are_of_these = [], 0, True
        results.damaged.append(str(error))
    doubts = warnings(n_dropped, are_of_these)
    name = store.folder.resolve().name
    command = f"loptbench report {shlex.quote(name)}"
    evaluated = comparisons(results.of_kind("evaluation"))
    makers: list[tuple[str, bool, Callable[[], list[Section]]]] = [
        ("Attention", False, lambda: _wrong(results)),
        ("At a glance", True, lambda: _matrices(results, verdicts, doubts)),
        ("", False, lambda: _diverged(results)),
        ("Claims", False, lambda: _claims(results, verdicts, command)),
        ("Tasks", False, lambda: _tasks(results, evaluated, command)),
        ("Implementations", False, lambda: implementation_sections(results)),
        ("Behind it", False, lambda: _behind(results, evaluated, name, command)),
    ]
    groups = []
    for title, beside, make in makers:
        sections = _guarded(title, make)
        if sections:
            groups.append(Group(title, sections, beside))
    return Page(
        f"Learned optimizers, put to the test: {name}", _lead(results, verdicts, evaluated), groups
    )


def _guarded(title: str, make: Callable[[], list[Section]]) -> list[Section]:
    """Sections, or one that says why they are not there: the rest of the report still counts."""
    try:
        return make()
    except Exception as error:
        said = (
            f"These sections cannot be shown, because a record has what this version does not "
            f"expect ({type(error).__name__}: {error}). The others are whole."
        )
        anchor = f"not-shown-{title.lower().replace(' ', '-')}"
        return [Section(anchor, f"{title}: not shown", [Prose(said)], alarm=True)]


def _lead(
    results: Results, verdicts: Sequence[Verdict], evaluated: Sequence[dict[str, Any]]
) -> str:
    """One sentence: what was run, and what came out."""
    if not results.records:
        if results.damaged:
            return "Nothing in this store can be shown; below is why."
        return "This store holds no results yet: run 'loptbench run'."
    checks = results.checks()
    held = ("conformance", "mechanisms")  # to the reference
    failed = [r for r in results.failures if r.status == FAILED and r.key["trial"] in held]
    wrong = sorted({str(record.key["implementation"]) for record in failed})
    agree = "no check of agreement was run"
    if any(row.status == PASSED for row in checks):
        agree = "every check that was run agrees with the reference"
    if wrong:
        agree = f"disagreement with the reference in {', '.join(wrong)}"
    ran = [name for name in results.names() if name not in results.absent()]
    parts = [
        f"The claims of arXiv 2011.02159 on learned optimizers, put to the test in "
        f"{len(results.records)} trials of {', '.join(ran)}",
        agree,
    ]
    if results.missing:
        parts.append(f"{results.missing} planned trials are missing: this report is partial")
    if origin.mixed(results.records):
        parts.append("its records are of mixed provenance")
    parts += filter(None, [one_line(verdicts)])
    better = []
    for task in TASKS:
        rows = [r for r in against_best(evaluated) if r["task"] == task]
        won = {r["optimizer"] for r in rows if r["high"] is not None and r["high"] < 1}
        if rows:
            better.append(f"{len(won)} of {len({r['optimizer'] for r in rows})} on {task}")
    if better:
        said = ", ".join(better)
        parts.append(
            f"learned optimizers that beat the best tuned baseline, in the mean loss of their "
            f"runs: {said}"
        )
    return "; ".join(parts) + "."


def _wrong(results: Results) -> list[Section]:
    """Whatever failed or is missing, first of all."""
    items = [_ended(record) for record in results.failures if record.status == FAILED]
    items += [Item(f"left out: {sentence}", status="damaged") for sentence in results.damaged]
    if results.missing:
        said = (
            f"{results.missing} of {len(results.planned)} planned trials have no record: call "
            "'loptbench run' again to go on from there"
        )
        items.append(Item(said, status="missing"))
    if not items:
        return []
    return [Section("failures", "What failed, or is missing", _some(items), alarm=True)]


def _diverged(results: Results) -> list[Section]:
    """Trials in which runs blew up: results, but not ones to overlook."""
    items = [_ended(record) for record in results.failures if record.status != FAILED]
    return [Section("diverged", "Runs that diverged", _some(items))] if items else []


def _ended(record: Record) -> Item:
    key = record.key
    said = f"{key['trial']} of {key['optimizer']} on {key['task']} in {key['implementation']}"
    return Item(f"{said}, {key['dtype']}: {record.message}", status=str(record.status))


def _some(items: Sequence[Item]) -> list[Part]:
    parts: list[Part] = [Bullets(items[:MANY])]
    if items[MANY:]:
        parts.append(Folded(f"{len(items) - MANY} more", [Bullets(items[MANY:])]))
    return parts


def _matrices(
    results: Results, verdicts: Sequence[Verdict], doubts: Sequence[Part]
) -> list[Section]:
    """The verdict matrix and the agreement matrix."""
    parts: list[Part] = [*doubts]
    if verdicts:
        parts += [*not_reproduced(verdicts), verdict_matrix(verdicts)]
        parts.append(Folded("How a verdict comes about", [Prose(RULE)]))
        parts.append(glossary(trained(results.of_kind("evaluation"))))
    elif not doubts:
        parts = [Prose("This store has no verdicts: no learned optimizer has been measured yet.")]
    sections = [Section("verdicts", "What reproduces", parts)]
    checks = results.checks()
    if checks or results.absent():
        matrix = agreement_matrix(frame_of_checks(checks), results.absent())
        sections.append(Section("agreement", "Do the implementations agree", [matrix]))
    return sections


def _claims(results: Results, verdicts: Sequence[Verdict], command: str) -> list[Section]:
    records = results.of_kind("mechanisms")
    told = trained(results.of_kind("evaluation"))
    made_by = {
        name: (preset_of(one), str(one.get("implementation", "unknown")))
        for (_, name), one in told.items()
    }
    return claim_sections(verdicts, records, made_by, origin.points(records), command)


def _tasks(results: Results, rows: Sequence[dict[str, Any]], command: str) -> list[Section]:
    """A section for each task that anything was evaluated on."""
    records = results.of_kind("evaluation")
    sections = []
    for task in TASKS:
        parts = _those(
            [
                best_table(rows, task),
                comparison(rows, task, command),
                meta_training(records, task, results.names(), command),
            ]
        )
        if parts:
            sections.append(Section(f"task-{task}", task, parts))
    return sections


def _behind(
    results: Results, rows: Sequence[dict[str, Any]], name: str, command: str
) -> list[Section]:
    """Errors against bounds, the zoo, the tuner, timings, provenance."""
    labels = sorted(
        {r.key["optimizer"] for r in results.of_kind("conformance")}
        & {r.key["optimizer"] for r in results.of_kind("evaluation")}
    )
    errors = _those(
        errors_figure(results, label, dtype, command)
        for label in labels[:1]
        for dtype in results.dtypes()
    )
    found: list[tuple[str, str, list[Part]]] = [
        ("errors", "Errors against their bounds", errors),
        ("zoo", "Learned optimizers", _those([zoo_table(results.of_kind("evaluation"))])),
        ("tuning", "Tuning of the baselines", _those([origin.tuning(rows)])),
        ("tolerances", "Tolerances", [tolerances_table(results)] if results.dtypes() else []),
        ("timings", "Timings", _those([origin.timings(results.records)])),
        ("provenance", "Provenance", origin.provenance(results, name) if results.records else []),
    ]
    return [Section(anchor, title, parts) for anchor, title, parts in found if parts]


def _those(parts: Iterable[Part | None]) -> list[Part]:
    return [part for part in parts if part is not None]
