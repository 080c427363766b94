"""Where the numbers come from: provenance, timings, tuning, and how to make a report again."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.reports.page.cells import Cell, table_of_cells
from loptbench.reports.page.elements import Code, Part, Prose, Table
from loptbench.reports.page.numbers import number_text
from loptbench.reports.sections.evaluations import Row
from loptbench.reports.sections.results import Results
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS

MIXED = ("loptbench", "code", "commit", "dirty", "python", "platform", "processor", "cores")
"""What must be the same of all records for their numbers to be of one origin."""


def facts(record: Record) -> dict[str, str]:
    """Where a record was made, and with which versions."""
    found = {name: record.provenance.get(name) for name in MIXED}
    told = {name: "unknown" if value is None else str(value) for name, value in found.items()}
    versions = record.key.get("versions", {})
    return told | {f"version of {name}": str(value) for name, value in versions.items()}


def origins(records: Sequence[Record]) -> dict[str, Counter[str]]:
    """Each fact about where records were made, with how many say so."""
    counted: dict[str, Counter[str]] = {}
    for record in records:
        for name, value in facts(record).items():
            counted.setdefault(name, Counter())[value] += 1
    return counted


def mixed(records: Sequence[Record]) -> list[str]:
    """The facts on which records do not agree."""
    return [name for name, counts in origins(records).items() if len(counts) > 1]


def provenance(results: Results, name: str) -> list[Part]:
    """All that is known of the origin of a store's records.

    Args:
        results: the store's.
        name: its name.
    """
    found = origins(results.records)
    rows: list[list[Any]] = []
    for fact, counts in found.items():
        status = "mixed" if len(counts) > 1 else ""
        (first, n), *others = counts.most_common()
        note = "; ".join(f"{value}: {k} records" for value, k in others)
        rows.append([fact, Cell(first, status=status, note=note), n])
    parts: list[Part] = []
    if other := mixed(results.records):
        usual = {fact: counts.most_common(1)[0][0] for fact, counts in found.items()}
        parts.append(
            Prose(
                f"These records are of mixed provenance: they differ in {', '.join(other)}. "
                "Numbers of different versions or machines stand side by side here."
            )
        )
        parts.append(_odd_ones(results.records, usual))
    older = f"; {results.older} records of other versions or settings are not shown"
    parts += [
        table_of_cells(
            "provenance-table",
            f"Where the {len(results.records)} records were made, of {len(results.planned)} planned"
            + (older if results.older else "")
            + ".",
            ["fact", "value", "records"],
            rows,
        ),
        Prose(
            "To make this very report again, install the versions above, and add the options that "
            "the run was called with:"
        ),
        Code(f"loptbench run --store {shlex.quote(name)}\nloptbench report {shlex.quote(name)}"),
        Prose("From its records alone, without computing anything, the second line is enough."),
    ]
    return parts


def _odd_ones(records: Sequence[Record], usual: Mapping[str, str]) -> Table:
    """The records that are not of the usual origin."""
    lines: list[list[Any]] = []
    for record in records:
        odd = {name: v for name, v in facts(record).items() if usual[name] != v}
        if odd:
            said = "; ".join(f"{name} {value}" for name, value in odd.items())
            key = record.key
            lines.append(
                [
                    key["trial"],
                    key["optimizer"],
                    key["task"],
                    key["implementation"],
                    Cell(said, status="mixed"),
                ]
            )
    return table_of_cells(
        "mixed-records",
        "Records that are not of the same origin as most, and in what.",
        ["trial", "optimizer", "task", "implementation", "differs in"],
        lines,
        2,
    )


def timings(records: Sequence[Record]) -> Table | None:
    """How long the trials took."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for record in records:
        seconds = record.provenance.get("seconds")
        if isinstance(seconds, int | float):
            key = record.key
            at = (key["trial"], key["implementation"], key["task"])
            groups.setdefault(at, []).append(float(seconds))
    if not groups:
        return None
    return table_of_cells(
        "timings-table",
        "How long the trials took, compilation included, on the machine that stands under "
        "Provenance, whatever else was running there. 'loptbench perf' times parts with care.",
        ["trial", "implementation", "task", "trials", "seconds in all", "longest (s)"],
        [[*at, len(times), sum(times), max(times)] for at, times in sorted(groups.items())],
        3,
    )


def tuning(rows: Sequence[Row]) -> Table | None:
    """How each baseline was tuned, once for each task: implementations share the search."""
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        told = row["found"].get("tuning")
        if told is None:
            continue
        edge = ", ".join(told["on_edge"])
        parameters = row["found"]["hyperparameters"]
        found.setdefault(
            (row["task"], row["optimizer"]),
            [
                row["task"],
                row["optimizer"],
                ", ".join(f"{name} = {number_text(value)}" for name, value in parameters.items()),
                told["score"],
                ", ".join(f"{name} at {place:.0%}" for name, place in told["places"].items()),
                Cell(edge or "none", status="failed" if edge else ""),
                told["n_draws"],
                told["n_complete"],
                told["n_diverged"],
            ],
        )
    if not found:
        return None
    order = sorted(found.items(), key=lambda one: list(TASKS).index(one[0][0]))
    return table_of_cells(
        "tuning-table",
        "Random search, on problems that nothing else is measured on. The place of an optimum in "
        "the range of its hyperparameter is on a logarithmic scale: near 0 % or 100 % the range "
        "would be too narrow. Draws that are neither complete nor diverged were dropped once they "
        "could no longer be the best.",
        [
            "task",
            "baseline",
            "hyperparameters",
            "meta-objective when tuned",
            "place in the range",
            "on an edge",
            "draws",
            "complete",
            "diverged",
        ],
        [line for _, line in order],
        2,
    )


def points(records: Sequence[Record]) -> Table | None:
    """The convergence point and momentum of every optimizer, or why it has none."""
    lines: list[list[Any]] = []
    order = list(TASKS)
    for record in sorted(
        records,
        key=lambda r: (order.index(r.key["task"]), r.key["optimizer"], r.key["implementation"]),
    ):
        point, found = record.result["convergence_point"], record.result["momentum"]
        reached = point.get("other_starts_at_this_point")
        note = point.get("not_applicable") or found.get("not_applicable") or ""
        lines.append(
            [
                str(record.key["optimizer"]).removeprefix("checkpoint "),
                record.key["task"],
                record.key["implementation"],
                point.get("residual"),
                point.get("spectral_radius"),
                point.get("drift"),
                reached,
                point.get("other_starts"),
                found.get("index"),
                found.get("effective_rate"),
                found.get("asymptotic_rate"),
                note,
            ]
        )
    if not lines:
        return None
    return table_of_cells(
        "points-table",
        "Every optimizer's convergence point; sgd and momentum (β = 0.9) are controls whose index "
        "must be 0 and 0.9. Other starts are states met on real runs. Rates are per step.",
        [
            "optimizer",
            "task",
            "implementation",
            "residual",
            "spectral radius",
            "drift / typical update",
            "starts that come here",
            "other starts",
            "momentum index",
            "effective rate",
            "asymptotic rate",
            "why there is none",
        ],
        lines,
        3,
    )
