"""The numbers of two stores side by side, as sections of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.claims.catalogue import claims
from loptbench.claims.verdicts import Scope
from loptbench.comparison.numbers import Mean, MechanismNumber, Objective
from loptbench.comparison.stores import StoreComparison, VerdictPair
from loptbench.comparison.views import NOT_RUN, Match, Side, VerdictMatch, number
from loptbench.protocol import Level
from loptbench.reports.page.cells import Cell, Value, table_of_cells
from loptbench.reports.page.elements import Folded, Part, Prose, Section, Table
from loptbench.reports.page.numbers import interval_text
from loptbench.reports.sections.agreement import FAILED, PLACE, agreement_cells, level_text
from loptbench.reports.sections.results import CheckRow, frame_of_checks

MISSING_CELL = {"text": "–", "status": "empty", "note": ""}
Row = Sequence[Value | Cell]


def or_prose(table: Table, none: str) -> list[Part]:
    """The table, or a sentence where it would be empty."""
    return [Prose(none)] if table.is_empty else [table]


def folded(table: Table, summary: str) -> list[Part]:
    """The table, shown when asked for; nothing where it would be empty."""
    return [] if table.is_empty else [Folded(f"{summary} ({len(table.frame)})", [table])]


def verdict_heads(match: VerdictMatch) -> list[Value | Cell]:
    """The cells that say what a verdict is on: claim, task, subject."""
    known = {claim.name: f"{claim.title}: {claim.threshold}" for claim in claims()}
    claim = Cell(match.claim, note=known.get(match.claim, "unknown to this loptbench"))
    return [claim, match.task, Cell(match.subject, note=match.scope)]


def verdict_value(verdict: Mapping[str, Any]) -> list[Value | Cell]:
    """The cells of a verdict's value and its interval."""
    ends = number(verdict.get("low")), number(verdict.get("high"))
    return [Cell(number(verdict.get("value"))), interval_text(*ends)]


def objectives_section(objectives: Sequence[Objective]) -> Section:
    """Meta-objectives in both, ratios with their intervals first, what is identical folded."""
    same = [one for one in objectives if one.identical]
    table = table_of_cells(
        "meta-objectives",
        "Mean meta-objective in A and in B of what both evaluated, and B's over A's: below 1, it "
        "is lower in B. The interval is the paired 95 % bootstrap interval over problems, where "
        "both evaluated the same ones. Those that differ most stand first; a ratio is marked (→) "
        "where its interval does not hold 1 and four digits show it.",
        [
            *("implementation", "optimizer", "task", "mean in A", "mean in B"),
            *("ratio B / A", "95 % interval", "diverged in A", "diverged in B"),
        ],
        [_objective_row(one) for one in objectives if not one.identical],
        3,
    )
    identical = table_of_cells(
        "meta-objectives-identical",
        "Meta-objectives that are the same number on every problem in both.",
        ["implementation", "optimizer", "task", "mean", "diverged"],
        [[*_objective_heads(one), one.a.value, _diverged(one.a)] for one in same],
        3,
    )
    none = "Nothing was evaluated in both."
    if same:
        none = f"All {len(same)} meta-objectives in both are the same number on every problem."
    parts = or_prose(table, none) + folded(identical, "Meta-objectives that are identical")
    return Section("objectives", "Meta-objectives", parts)


def _objective_heads(one: Objective) -> list[Value | Cell]:
    return [one.match.implementation, Cell(one.match.optimizer, note=one.note), one.match.task]


def _objective_row(one: Objective) -> Row:
    excludes_1 = one.low is not None and one.high is not None and not one.low <= 1 <= one.high
    said = interval_text(one.low, one.high)
    return [
        *_objective_heads(one),
        one.a.value,
        one.b.value,
        Cell(one.ratio, status="changed" if excludes_1 and one.differs else ""),
        Cell(said, note=f"no paired interval: {one.why}" if one.why else ""),
        _diverged(one.a),
        _diverged(one.b),
    ]


def _diverged(mean: Mean) -> Cell:
    """How many runs diverged, and of how many."""
    text = f"{mean.n_diverged} of {mean.n_problems}"
    return Cell(mean.n_diverged, text, status="diverged" if mean.n_diverged else "")


def values_section(verdicts: Sequence[VerdictPair]) -> Section:
    """The numbers of verdicts in both, over seeds first, of single checkpoints folded."""

    def table(anchor: str, caption: str, rows: Sequence[VerdictPair]) -> Table:
        return table_of_cells(
            anchor,
            caption,
            [
                *("claim", "task", "subject", "value in A", "95 % interval in A"),
                *("value in B", "95 % interval in B", "difference B − A"),
            ],
            [
                [
                    *verdict_heads(one.match),
                    *verdict_value(one.a),
                    *verdict_value(one.b),
                    Cell(one.difference, status="changed" if one.differs else ""),
                ]
                for one in sorted(rows, key=lambda one: not one.differs)
            ],
            3,
        )

    over_seeds = [one for one in verdicts if one.match.scope != Scope.CHECKPOINT]
    of_one = [one for one in verdicts if one.match.scope == Scope.CHECKPOINT]
    changed = table(
        "verdict-values",
        "What verdicts over meta-training seeds rest on, where it differs: the mean of the claim's "
        "statistic over seeds and its 95 % interval over seeds and problems.",
        [one for one in over_seeds if one.differs],
    )
    same = table(
        "verdict-values-same",
        "What verdicts over meta-training seeds rest on, where it is the same to four digits.",
        [one for one in over_seeds if not one.differs],
    )
    each = table(
        "verdict-values-of-checkpoints",
        "What verdicts on one checkpoint rest on: the claim's statistic and its 95 % interval over "
        "problems, those that differ first.",
        of_one,
    )
    none = "No verdict over meta-training seeds is in both."
    if over_seeds:
        none = f"None of {len(over_seeds)} values over meta-training seeds differs."
    parts = or_prose(changed, none) + folded(same, "Values over seeds that are the same")
    parts += folded(each, "Values of single checkpoints")
    return Section("verdict-numbers", "Values that verdicts rest on", parts)


def mechanisms_section(numbers: Sequence[MechanismNumber]) -> Section:
    """The numbers of the mechanisms that differ, the others folded."""

    def table(anchor: str, caption: str, differs: bool) -> Table:
        return table_of_cells(
            anchor,
            caption,
            [
                *("implementation", "optimizer", "task", "probe", "number"),
                *("in A", "in B", "difference B − A"),
            ],
            [
                [
                    one.match.implementation,
                    Cell(one.match.optimizer, note=_two_seeds(one.match)),
                    one.match.task,
                    one.probe,
                    one.name,
                    Cell(one.a, note=one.why_a),
                    Cell(one.b, note=one.why_b),
                    Cell(one.difference, status="changed" if differs else ""),
                ]
                for one in numbers
                if one.differs == differs
            ],
            5,
        )

    changed = table(
        "mechanisms-changed",
        "Numbers of the mechanisms that differ by what four digits can show, the largest relative "
        "difference first. They have no interval: of one checkpoint they are known.",
        True,
    )
    same = table("mechanisms-same", "Numbers of the mechanisms that are the same.", False)
    none = "No mechanism was measured in both."
    if numbers:
        none = f"None of {len(numbers)} numbers differs by what four digits can show."
    parts = or_prose(changed, none) + folded(same, "Numbers of mechanisms that are the same")
    return Section("mechanism-numbers", "Mechanisms", parts)


def _two_seeds(match: Match) -> str:
    return f"problems of seed {match.seed}" if " in A" in match.seed else ""


def agreement_section(found: StoreComparison) -> Section:
    """The worst error over its bound by implementation, level and task, in both."""
    cells = [agreement_cells(frame_of_checks(_check_rows(side))) for side in (found.a, found.b)]
    both = cells[0].join(cells[1], how="outer", lsuffix=" in A", rsuffix=" in B")
    measured = [set(side.index.droplevel("level")) for side in cells]
    both = both[both.index.droplevel("level").isin(measured[0] & measured[1])]
    both = both.assign(same=(both["text in A"] == both["text in B"])).fillna(
        {f"{part} in {side}": text for part, text in MISSING_CELL.items() for side in "AB"}
    )
    both = both.sort_values("same", kind="stable").reset_index()
    both["level"] = both.level.map(level_text)
    columns = {"text in A": "in A", "text in B": "in B"}
    table = Table(
        "agreement-in-both",
        "Agreement with the reference: the largest error over its bound, over all checks of a "
        "level on a task; below 1 the check passes. What differs stands first.",
        both[[*PLACE, *columns]].rename(columns=columns),
        3,
        status={f"in {side}": both[f"status in {side}"] for side in "AB"},
        note={f"in {side}": both[f"note in {side}"] for side in "AB"},
    )
    none = "No implementation was compared with the reference in both on one task."
    return Section("agreement", "Agreement with the reference", or_prose(table, none))


def _check_rows(side: Side) -> list[CheckRow]:
    """The checks; a trial without any is one that failed or was not run, at every level."""
    checks = side.checks()
    rows = [
        CheckRow(
            *(match.implementation, one.level, match.task, match.optimizer, match.dtype),
            *(name, one.status, one.ratio, one.message),
        )
        for (match, name), one in checks.items()
    ]
    told = {match for match, _ in checks}
    for match in side.planned:
        if match.trial == "conformance" and match not in told:
            record = side.records.get(match)
            status, message = (NOT_RUN, "") if record is None else (FAILED, record.message)
            rows += [
                CheckRow(
                    *(match.implementation, int(level), match.task, match.optimizer, match.dtype),
                    *("the whole trial", status, None, message),
                )
                for level in Level
            ]
    return rows
