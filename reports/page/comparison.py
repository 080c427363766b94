"""The page that shows two stores side by side: what changed first."""

from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.comparison.stores import Fact, StatusChange, StoreComparison
from loptbench.comparison.views import Match, Side
from loptbench.reports.page.cells import Cell, Value, table_of_cells
from loptbench.reports.page.elements import Bullets, Group, Item, Page, Section, Table
from loptbench.reports.page.render import html
from loptbench.reports.sections.two_stores_numbers import (
    agreement_section,
    folded,
    mechanisms_section,
    objectives_section,
    or_prose,
    values_section,
    verdict_heads,
    verdict_value,
)

HASH_LENGTH, HASH_SHOWN = 40, 12
"""From this length on a hexadecimal text is a hash, of which the first digits tell it apart."""


def render(found: StoreComparison) -> str:
    """The page of a comparison, as a string of HTML; the same stores give the same bytes."""
    return html(page(found))


def page(found: StoreComparison) -> Page:
    """The page of a comparison."""
    words = "; ".join(found.headline())
    left_out = [f"{name}: {one}" for name, side in _sides(found) for one in side.left_out]
    origins = [_provenance_section(found)]
    if left_out:
        words += "; not everything could be compared, see what was left out"
        bullets = Bullets([Item(one) for one in left_out])
        origins.append(Section("left-out", "What was left out", [bullets], alarm=True))
    return Page(
        "Two stores compared",
        f"{words[:1].upper()}{words[1:]}. A is {found.a.name}, B is {found.b.name}.",
        [
            Group(
                "What changed",
                [_verdicts_section(found), _statuses_section(found), _only_section(found)],
            ),
            Group(
                "Numbers",
                [
                    objectives_section(found.objectives),
                    values_section(found.verdicts),
                    mechanisms_section(found.mechanisms),
                    agreement_section(found),
                ],
            ),
            Group("Where they come from", origins),
        ],
    )


def _sides(found: StoreComparison) -> list[tuple[str, Side]]:
    return [("A", found.a), ("B", found.b)]


def _verdicts_section(found: StoreComparison) -> Section:
    changed = table_of_cells(
        "verdicts-changed",
        "Verdicts with another outcome, those over all seeds first; a value is the claim's "
        "statistic, with its 95 % interval over problems, or over seeds and problems.",
        [
            *("claim", "task", "subject", "outcome in A", "outcome in B"),
            *("value in A", "95 % interval in A", "value in B", "95 % interval in B"),
        ],
        [
            [*verdict_heads(one.match), _outcome(one.a), _outcome(one.b)]
            + [cell for verdict in (one.a, one.b) for cell in verdict_value(verdict)]
            for one in found.verdicts_changed
        ],
        3,
    )
    none = f"No verdict changed: {len(found.verdicts)} are in both, each with the same outcome."
    if not found.verdicts:
        lacking = [name for name, side in _sides(found) if not side.verdicts]
        none = "No verdict is in both."
        if lacking:
            none += f" There are none in {' and none in '.join(lacking)}: its run was not judged, "
            none += "or its verdicts.json cannot be read."
    in_one = table_of_cells(
        "verdicts-in-one",
        "Verdicts that one of the two stores has.",
        ["claim", "task", "subject", "only in", "outcome"],
        [
            [
                *verdict_heads(match),
                side,
                _outcome((found.a if side == "A" else found.b).verdicts[match]),
            ]
            for match, side in found.verdicts_in_one
        ],
        3,
    )
    parts = or_prose(changed, none) + folded(in_one, "Verdicts that only one has")
    return Section("verdicts", "Verdicts that changed", parts)


def _outcome(verdict: Mapping[str, Any]) -> Cell:
    outcome = str(verdict["outcome"])
    return Cell(outcome, status=outcome, note=str(verdict.get("reason") or ""))


def _statuses_section(found: StoreComparison) -> Section:
    trials = table_of_cells(
        "trials-changed",
        "Trials that ended otherwise, the worst in B first.",
        [*Match._fields, "in A", "in B"],
        [[*one.match, *_ended(one)] for one in found.trials],
        len(Match._fields),
    )
    of_check = Match._fields[1:]
    checks = table_of_cells(
        "checks-changed",
        "Checks of conformance that ended otherwise, the worst in B first.",
        ["check", *of_check, "in A", "in B"],
        [[one.check, *one.match[1:], *_ended(one)] for one in found.checks],
        1 + len(of_check),
    )
    none = f"All of {found.n_in_both} trials in both ended as before."
    if not found.n_in_both:
        none = "No trial is in both."
    changes = [*found.trials, *found.checks]
    worse = any(one.b.status in ("failed", "diverged") for one in changes)
    parts = or_prose(trials, none)
    parts += [] if checks.is_empty else [checks]
    return Section("statuses", "Trials and checks that ended otherwise", parts, alarm=worse)


def _ended(one: StatusChange) -> list[Value | Cell]:
    return [Cell(end.status, status=end.status, note=end.message) for end in (one.a, one.b)]


def _only_section(found: StoreComparison) -> Section:
    only = table_of_cells(
        "only-in-one",
        "Implementations, checkpoints, tasks and checks that one of the two stores has.",
        ["kind", "name", "in A", "in B"],
        [[one.kind, one.name, *_presence(one.side, one.note)] for one in found.only],
        2,
    )
    trials = table_of_cells(
        "trials-in-one",
        "Trials that one of the two stores was to run.",
        [*Match._fields, "only in"],
        [[*match, side] for match, side in found.trials_in_one],
        len(Match._fields),
    )
    none = "Both have the same implementations, checkpoints, tasks and checks"
    none += ", but not the same trials." if not trials.is_empty else ", and the same trials."
    parts = or_prose(only, none) + folded(trials, "Trials that only one has")
    return Section("only", "What only one of the two has", parts)


def _presence(side: str, note: str) -> list[Value | Cell]:
    missing = Cell("missing", status="missing", note=note)
    return ["there", missing] if side == "A" else [missing, "there"]


def _provenance_section(found: StoreComparison) -> Section:
    def table(anchor: str, caption: str, facts: Sequence[Fact]) -> Table:
        rows: list[list[Value | Cell]] = [[one.name, _fact(one.a), _fact(one.b)] for one in facts]
        return table_of_cells(anchor, caption, ["fact", "in A", "in B"], rows)

    changed = table(
        "provenance-differs",
        "Facts that differ: code, versions and machine of all records; weights, hyperparameters "
        "and definitions of the trials that are in both. “Mixed” (≠) is where the records of one "
        "store differ among themselves.",
        found.facts_changed,
    )
    same = [one for one in found.facts if one.a == one.b]
    equal = table("provenance-same", "Facts that are the same in both.", same)
    none = f"None of {len(same)} facts differs." if same else "There are no records."
    parts = or_prose(changed, none) + folded(equal, "Facts that are the same")
    return Section("provenance", "Provenance", parts)


def _fact(values: Sequence[str]) -> Cell:
    if not values:
        return Cell("none", status="missing")
    return Cell(", ".join(map(_short, values)), status="mixed" if len(values) > 1 else "")


def _short(value: str) -> str:
    is_hash = len(value) >= HASH_LENGTH and set(value) <= set("0123456789abcdef")
    return f"{value[:HASH_SHOWN]}…" if is_hash else value
