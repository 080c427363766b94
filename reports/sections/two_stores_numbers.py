"""The numbers of two stores side by side, as sections of a page."""

from typing import TYPE_CHECKING

from loptbench.claims.catalogue import SHIPPED, claims
from loptbench.comparison.stores import StoreComparison
from loptbench.reports.page.elements import Section, Table
from loptbench.reports.page.numbers import interval_text
from loptbench.reports.page.tables import folded, marked, or_prose
from loptbench.reports.sections.agreement import PLACE, agreement_cells, level_text
from loptbench.results.schema.verdicts import Scope

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING_CELL = {"text": "–", "status": "empty", "note": ""}
SIDES = (("a", "A"), ("b", "B"))
VERDICT = ["edition", "claim", "task", "kind", "subject"]
"""The columns that say what a verdict is on."""


def verdict_notes(verdicts: "DataFrame") -> dict[str, list[str]]:
    """Small print on verdicts: the claims in words, and the scopes."""
    known = {
        (edition, claim.name): f"{claim.title}: {claim.threshold}"
        for edition in SHIPPED
        for claim in claims(edition)
    }
    unknown = "unknown to this loptbench"
    names = verdicts[["edition", "claim"]].itertuples(index=False, name=None)
    return {
        "claim": [known.get(name, unknown) for name in names],
        "subject": list(verdicts["scope"]),
    }


def verdict_values(verdicts: "DataFrame") -> "DataFrame":
    """Two columns for each store: the value of each verdict, and its interval in words."""
    columns = {}
    for side, name in SIDES:
        low, high = verdicts[f"low_{side}"], verdicts[f"high_{side}"]
        columns[f"value in {name}"] = verdicts[f"value_{side}"]
        columns[f"95 % interval in {name}"] = list(map(interval_text, low, high))
    return verdicts[[]].assign(**columns)


def objectives_section(objectives: "DataFrame") -> Section:
    """Meta-objectives in both, ratios with their intervals first, what is identical folded."""
    rows, same = objectives[~objectives["identical"]], objectives[objectives["identical"]]
    excludes_1 = (rows["low"] > 1) | (rows["high"] < 1)
    intervals = [interval_text(*ends) for ends in rows[["low", "high"]].itertuples(index=False)]
    table = Table(
        "meta-objectives",
        "Mean meta-objective in A and in B of what both evaluated, and B's over A's: below 1, it "
        "is lower in B. The interval is the paired 95 % bootstrap interval over problems, where "
        "both evaluated the same ones. Those that differ most stand first; a ratio is marked (→) "
        "where its interval does not hold 1 and four digits show it.",
        rows[[]].assign(
            **{
                "implementation": rows["implementation"],
                "optimizer": rows["label"],
                "task": rows["task"],
                "mean in A": rows["mean_a"],
                "mean in B": rows["mean_b"],
                "ratio B / A": rows["ratio"],
                "95 % interval": intervals,
                "diverged in A": _diverged(rows, "a"),
                "diverged in B": _diverged(rows, "b"),
            }
        ),
        3,
        status={
            "ratio B / A": marked(excludes_1 & rows["differs"], "changed"),
            "diverged in A": marked(rows["n_diverged_a"] > 0, "diverged"),
            "diverged in B": marked(rows["n_diverged_b"] > 0, "diverged"),
        },
        note={
            "optimizer": list(rows["note"]),
            "95 % interval": [f"no paired interval: {why}" if why else "" for why in rows["why"]],
        },
    )
    identical = Table(
        "meta-objectives-identical",
        "Meta-objectives that are the same number on every problem in both.",
        same[[]].assign(
            implementation=same["implementation"],
            optimizer=same["label"],
            task=same["task"],
            mean=same["mean_a"],
            diverged=_diverged(same, "a"),
        ),
        3,
        status={"diverged": marked(same["n_diverged_a"] > 0, "diverged")},
        note={"optimizer": list(same["note"])},
    )
    none = "Nothing was evaluated in both."
    if len(same):
        none = f"All {len(same)} meta-objectives in both are the same number on every problem."
    parts = or_prose(table, none, "Meta-objectives that differ")
    parts += folded(identical, "Meta-objectives that are identical")
    return Section("objectives", "Meta-objectives", parts)


def _diverged(rows: "DataFrame", side: str) -> list[str]:
    """How many runs diverged, and of how many."""
    counts = rows[[f"n_diverged_{side}", f"n_problems_{side}"]].itertuples(index=False)
    return [f"{n_diverged} of {n_problems}" for n_diverged, n_problems in counts]


def values_section(verdicts: "DataFrame") -> Section:
    """The numbers of verdicts in both, over seeds first, of single checkpoints folded."""

    def table(anchor: str, caption: str, rows: "DataFrame") -> Table:
        rows = rows.sort_values("differs", ascending=False, kind="stable")
        frame = rows[VERDICT].join(verdict_values(rows))
        return Table(
            anchor,
            caption,
            frame.assign(**{"difference B − A": rows["difference"]}),
            3,
            status={"difference B − A": marked(rows["differs"], "changed")},
            note=verdict_notes(rows),
        )

    is_of_checkpoint = verdicts["scope"] == Scope.CHECKPOINT
    over_seeds = verdicts[~is_of_checkpoint]
    changed = table(
        "verdict-values",
        "What verdicts over meta-training seeds rest on, where it differs: the mean of the claim's "
        "statistic over seeds and its 95 % interval over seeds and problems.",
        over_seeds[over_seeds["differs"]],
    )
    same = table(
        "verdict-values-same",
        "What verdicts over meta-training seeds rest on, where it is the same to four digits.",
        over_seeds[~over_seeds["differs"]],
    )
    each = table(
        "verdict-values-of-checkpoints",
        "What verdicts on one checkpoint rest on: the claim's statistic and its 95 % interval over "
        "problems, those that differ first.",
        verdicts[is_of_checkpoint],
    )
    none = "No verdict over meta-training seeds is in both."
    if len(over_seeds):
        none = f"None of {len(over_seeds)} values over meta-training seeds differs."
    parts = or_prose(changed, none, "Values over seeds that differ")
    parts += folded(same, "Values over seeds that are the same")
    parts += folded(each, "Values of single checkpoints")
    return Section("verdict-numbers", "Values that verdicts rest on", parts)


def mechanisms_section(numbers: "DataFrame") -> Section:
    """The numbers of the mechanisms that differ, the others folded."""

    def table(anchor: str, caption: str, rows: "DataFrame", status: str) -> Table:
        seeds = [
            f"problems of seed {seed}" if seed_a != seed_b else ""
            for seed, seed_a, seed_b in rows[["seed", "seed_a", "seed_b"]].itertuples(index=False)
        ]
        return Table(
            anchor,
            caption,
            rows[[]].assign(
                **{
                    "implementation": rows["implementation"],
                    "optimizer": rows["label"],
                    "task": rows["task"],
                    "probe": rows["probe"],
                    "number": rows["words"],
                    "in A": rows["value_a"],
                    "in B": rows["value_b"],
                    "difference B − A": rows["difference"],
                }
            ),
            5,
            status={"difference B − A": [status] * len(rows)},
            note={
                "optimizer": seeds,
                "in A": list(rows["reason_a"]),
                "in B": list(rows["reason_b"]),
            },
        )

    changed = table(
        "mechanisms-changed",
        "Numbers of the mechanisms that differ by what four digits can show, the largest relative "
        "difference first. They have no interval: of one checkpoint they are known.",
        numbers[numbers["differs"]],
        "changed",
    )
    same = table(
        "mechanisms-same",
        "Numbers of the mechanisms that are the same.",
        numbers[~numbers["differs"]],
        "",
    )
    none = "No mechanism was measured in both."
    if len(numbers):
        none = f"None of {len(numbers)} numbers differs by what four digits can show."
    parts = or_prose(changed, none, "Numbers of mechanisms that differ")
    parts += folded(same, "Numbers of mechanisms that are the same")
    return Section("mechanism-numbers", "Mechanisms", parts)


def agreement_section(comparison: StoreComparison) -> Section:
    """The worst error over its bound by implementation, level and task, in both."""
    cells = [agreement_cells(view.frame("checks")) for view in (comparison.a, comparison.b)]
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
    parts = or_prose(table, none, "Agreement of each level and task")
    return Section("agreement", "Agreement with the reference", parts)
