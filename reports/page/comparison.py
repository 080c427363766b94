"""The page that shows two stores side by side: what changed first."""

from typing import TYPE_CHECKING

from loptbench.comparison.store_view import StoreView
from loptbench.comparison.stores import StoreComparison
from loptbench.reports.page.elements import (
    Bullets,
    Folded,
    Group,
    Item,
    Page,
    Part,
    Section,
    Table,
)
from loptbench.reports.page.render import html
from loptbench.reports.page.tables import MAX_SHOWN, folded, or_prose
from loptbench.reports.sections.two_stores_numbers import (
    SIDES,
    VERDICT,
    agreement_section,
    mechanisms_section,
    objectives_section,
    values_section,
    verdict_notes,
    verdict_values,
)
from loptbench.results.schema.verdicts import Scope

if TYPE_CHECKING:
    from pandas import DataFrame

HASH_LENGTH, HASH_SHOWN = 40, 12
"""From this length on a hexadecimal text is a hash, which its first digits identify."""

TRIAL = ("trial", "implementation", "optimizer", "task", "seed", "dtype", "device")
"""The columns that say what a trial is."""


def render(comparison: StoreComparison) -> str:
    """The page of a comparison, as a string of HTML; the same stores give the same bytes."""
    return html(page(comparison))


def page(comparison: StoreComparison) -> Page:
    """The page of a comparison."""
    clauses = comparison.headline()
    answer, rest = clauses[:2], clauses[2:]
    left_out = [f"{name}: {one}" for name, side in _sides(comparison) for one in side.left_out]
    origins = [_provenance_section(comparison)]
    if left_out:
        rest.append("not everything could be compared, see what was left out")
        bullets = Bullets([Item(one) for one in left_out])
        origins.append(Section("left-out", "What was left out", [bullets], alarm=True))
    return Page(
        "What changed from A to B?",
        _sentence(answer),
        [
            Group(
                "What changed",
                [
                    _summary_section(comparison),
                    _verdicts_section(comparison),
                    _statuses_section(comparison),
                    _only_section(comparison),
                ],
            ),
            Group(
                "Numbers",
                [
                    objectives_section(comparison.objectives),
                    values_section(comparison.verdicts_in_both),
                    mechanisms_section(comparison.mechanisms),
                    agreement_section(comparison),
                ],
            ),
            Group("Where they come from", origins),
        ],
        _sentence([*rest, f"A is {comparison.a.name}, B is {comparison.b.name}"]),
    )


def _sentence(clauses: list[str]) -> str:
    words = "; ".join(clauses)
    return f"{words[:1].upper()}{words[1:]}."


BAD = ("failed", "diverged")


def _summary_section(comparison: StoreComparison) -> Section:
    """What got worse, and how much changed of each kind, with links to the rows."""
    import pandas as pd

    trials, checks = comparison.trials_changed, comparison.checks_changed
    worse = [
        Item(f"{words}, {row.status_a} in A", status=row.status_b, note=row.message_b)
        for rows, of_check in ((trials, False), (checks, True))
        for row in rows[rows["status_b"].isin(BAD)].itertuples()
        for words in [f"{row.check}, {row.words}" if of_check else row.words]
    ]
    over_seeds = comparison.verdicts_in_both
    over_seeds = over_seeds[over_seeds["scope"] != Scope.CHECKPOINT]
    changed = comparison.verdicts_changed
    changed = changed[changed["scope"] != Scope.CHECKPOINT]
    kinds = {
        "verdicts": (
            "#verdicts-that-changed",
            comparison.verdicts_in_both,
            comparison.verdicts_changed,
        ),
        "of these, over seeds": ("#verdicts-that-changed", over_seeds, changed),
        "trials by how they ended": ("#statuses", comparison.trials_in_both, trials),
        "mean meta-objectives": ("#objectives", *_differing(comparison.objectives)),
        "numbers of mechanisms": ("#mechanism-numbers", *_differing(comparison.mechanisms)),
    }
    rows = [[kind, len(both), len(other)] for kind, (_, both, other) in kinds.items()]
    counts = Table(
        "changes",
        "How many of each kind are in both stores, and how many of these differ.",
        pd.DataFrame(rows, columns=["what", "in both", "different"]),
        status={"different": ["changed" if row[2] else "" for row in rows]},
        link={"what": [link for link, *_ in kinds.values()]},
    )
    parts: list[Part] = [counts]
    if worse:
        first, more = Bullets(worse[:MAX_SHOWN]), worse[MAX_SHOWN:]
        parts = [first, *([Folded(f"{len(more)} more", [Bullets(more)])] if more else []), counts]
    title = "What got worse, and what changed" if worse else "What changed"
    return Section("changes-section", title, parts, alarm=bool(worse))


def _differing(rows: "DataFrame") -> tuple["DataFrame", "DataFrame"]:
    return rows, rows[rows["differs"]]


def _sides(comparison: StoreComparison) -> list[tuple[str, StoreView]]:
    return [("A", comparison.a), ("B", comparison.b)]


def _verdicts_section(comparison: StoreComparison) -> Section:
    rows = comparison.verdicts_changed
    outcomes = {f"outcome in {name}": list(rows[f"outcome_{side}"]) for side, name in SIDES}
    reasons = {f"outcome in {name}": list(rows[f"reason_{side}"]) for side, name in SIDES}
    changed = Table(
        "verdicts-changed",
        "Verdicts with another outcome, those over all seeds first; a value is the claim's "
        "statistic, with its 95 % interval over problems, or over seeds and problems.",
        rows[VERDICT].assign(**outcomes).join(verdict_values(rows)),
        3,
        status=outcomes,
        note=verdict_notes(rows) | reasons,
    )
    n_in_both = len(comparison.verdicts_in_both)
    none = f"No verdict changed: {n_in_both} are in both, each with the same outcome."
    if not n_in_both:
        lacking = [name for name, view in _sides(comparison) if not view.contents.verdicts]
        none = "No verdict is in both."
        if lacking:
            none += f" There are none in {' and none in '.join(lacking)}: its run was not judged, "
            none += "or its verdicts.json cannot be read."
    single = comparison.verdicts[comparison.verdicts["only_in"] != ""]
    outcome = single["outcome_a"].fillna(single["outcome_b"])
    in_one = Table(
        "verdicts-in-one",
        "Verdicts that one of the two stores has.",
        single[VERDICT].assign(**{"only in": single["only_in"], "outcome": outcome}),
        3,
        status={"outcome": list(outcome)},
        note=verdict_notes(single)
        | {"outcome": list(single["reason_a"].fillna(single["reason_b"]))},
    )
    parts = or_prose(changed, none, "Verdicts with another outcome")
    parts += folded(in_one, "Verdicts that only one has")
    return Section("verdicts-that-changed", "Verdicts that changed", parts)


def _statuses_section(comparison: StoreComparison) -> Section:
    changes = comparison.trials_changed, comparison.checks_changed
    trials = _changes(
        "trials-changed", "Trials that ended otherwise, the worst in B first.", TRIAL, changes[0]
    )
    checks = _changes(
        "checks-changed",
        "Checks of conformance that ended otherwise, the worst in B first.",
        ("check", *TRIAL[1:]),
        changes[1],
    )
    n_in_both = len(comparison.trials_in_both)
    none = f"All of {n_in_both} trials in both ended as before."
    if not n_in_both:
        none = "No trial is in both."
    parts = or_prose(trials, none, "Trials that ended otherwise")
    parts += [] if checks.is_empty else or_prose(checks, "", "Checks that ended otherwise")
    return Section("statuses", "Trials and checks that ended otherwise", parts)


def _changes(anchor: str, caption: str, heads: tuple[str, ...], rows: "DataFrame") -> Table:
    """A table of what ended otherwise."""
    status = {f"in {name}": list(rows[f"status_{side}"]) for side, name in SIDES}
    return Table(
        anchor,
        caption,
        _labelled(rows, heads).assign(**status),
        len(heads),
        status=status,
        note={f"in {name}": list(rows[f"message_{side}"]) for side, name in SIDES},
    )


def _labelled(rows: "DataFrame", heads: tuple[str, ...]) -> "DataFrame":
    """The columns that say what a trial is, the optimizer with its role."""
    return rows.assign(optimizer=rows["label"])[list(heads)]


def _only_section(comparison: StoreComparison) -> Section:
    rows = comparison.only
    there = {
        f"in {name}": ["there" if only_in == name else "missing" for only_in in rows["only_in"]]
        for _, name in SIDES
    }
    only = Table(
        "only-in-one",
        "Implementations, checkpoints, tasks and checks that one of the two stores has.",
        rows[["kind", "name"]].assign(**there),
        2,
        status={name: ["missing" if t == "missing" else "" for t in there[name]] for name in there},
        note={
            name: [
                note if text == "missing" else ""
                for note, text in zip(rows["note"], texts, strict=True)
            ]
            for name, texts in there.items()
        },
    )
    single = comparison.trials[comparison.trials["only_in"] != ""]
    trials = Table(
        "trials-in-one",
        "Trials that one of the two stores was to run.",
        _labelled(single, TRIAL).assign(**{"only in": single["only_in"]}),
        len(TRIAL),
    )
    none = "Both have the same implementations, checkpoints, tasks and checks"
    none += ", but not the same trials." if not trials.is_empty else ", and the same trials."
    parts = or_prose(only, none, "What only one has")
    parts += folded(trials, "Trials that only one has")
    return Section("only", "What only one of the two has", parts)


def _provenance_section(comparison: StoreComparison) -> Section:
    def table(anchor: str, caption: str, facts: "DataFrame") -> Table:
        texts = {f"in {name}": list(map(_values_text, facts[side])) for side, name in SIDES}
        status = {f"in {name}": list(map(_values_status, facts[side])) for side, name in SIDES}
        return Table(anchor, caption, facts[["fact"]].assign(**texts), status=status)

    changed = table(
        "provenance-differs",
        "Facts that differ: code, versions and machine of all records; weights, hyperparameters "
        "and definitions of the trials that are in both. “Mixed” (≠) is where the records of one "
        "store differ among themselves.",
        comparison.facts_changed,
    )
    same = comparison.facts[comparison.facts["a"] == comparison.facts["b"]]
    equal = table("provenance-same", "Facts that are the same in both.", same)
    none = f"None of {len(same)} facts differs." if len(same) else "There are no records."
    parts = or_prose(changed, none, "Facts that differ") + folded(equal, "Facts that are the same")
    return Section("provenance", "Provenance", parts)


def _values_text(values: tuple[str, ...]) -> str:
    return ", ".join(map(_short, values)) or "none"


def _values_status(values: tuple[str, ...]) -> str:
    return "missing" if not values else "mixed" if len(values) > 1 else ""


def _short(value: str) -> str:
    is_hash = len(value) >= HASH_LENGTH and set(value) <= set("0123456789abcdef")
    return f"{value[:HASH_SHOWN]}…" if is_hash else value
