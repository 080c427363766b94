"""Where the numbers come from: code, versions, machine, timings; how to make the report again."""

import shlex
from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Code, Part, Prose, Table
from loptbench.reports.sections.report import Report, about
from loptbench.results.schema.confirmation import kept_in_words

if TYPE_CHECKING:
    import pandas as pd

MACHINE = ("loptbench", "code", "commit", "dirty", "python", "platform", "processor", "cores")
"""The facts that must be the same in all records for their numbers to have one origin."""


def facts(report: Report) -> "pd.DataFrame":
    """Code, machine and versions of every record, a column for each; "unknown" if missing."""
    wide = report.provenance.pivot_table("value", "record", "fact", aggfunc="first")
    versions = [name for name in wide if name.startswith("version of ")]
    wide = wide.reindex(columns=[*MACHINE, *versions])
    return wide.fillna(dict.fromkeys(MACHINE, "unknown"))


def mixed_facts(report: Report) -> list[str]:
    """The facts in which records differ."""
    return [name for name, n in facts(report).nunique().items() if n > 1]


def provenance(report: Report) -> list[Part]:
    """All that is known of the origin of a store's records."""
    import pandas as pd

    if not report.n_records:
        return []
    wide = facts(report)
    parts: list[Part] = []
    rows, notes = [], []
    for fact in wide:
        counts = wide[fact].value_counts()
        rarer = [f"{value}: {n} records" for value, n in counts.iloc[1:].items()]
        rows.append([fact, counts.index[0], counts.iloc[0]])
        notes.append("; ".join(rarer))
    frame = pd.DataFrame(rows, columns=["fact", "value", "records"])
    mixed = mixed_facts(report)
    if mixed:
        sentence = f"These records are of mixed provenance: they differ in {', '.join(mixed)}. "
        sentence += "Numbers of different versions or machines stand side by side here."
        usual = frame.set_index("fact").value
        parts += [Prose(sentence), _unusual(report, wide, usual)]
    n_not_shown = len(report.contents.unplanned)
    not_shown = (
        f"; {n_not_shown} records of other versions or settings are not shown"
        if n_not_shown
        else ""
    )
    name = shlex.quote(report.name)
    plan = report.contents.plan
    left_out = []
    if plan is not None and plan.left_out:
        left_out.append(Prose(f"Left out, and measured with --full: {plan.left_out}."))
    if plan is not None and plan.kept:
        left_out.append(Prose(kept_in_words(plan.kept)))
    if report.contents.confirmation is not None:
        left_out.append(Prose(report.contents.confirmation.in_words))
    return [
        *parts,
        Table(
            "provenance-table",
            f"Where the {report.n_records} records were made, of {len(report.trials)} "
            f"planned{not_shown}.",
            frame,
            status={"value": ["mixed" if note else "" for note in notes]},
            note={"value": notes},
        ),
        *left_out,
        Prose(
            "To make this very report again, install the versions above, and add the options of "
            "the run:"
        ),
        Code(f"loptbench run --store {name}\nloptbench report {name}"),
        Prose("From the records alone, without computing anything, the second line is enough."),
    ]


def _unusual(report: Report, wide: "pd.DataFrame", usual: "pd.Series[str]") -> Table:
    """The records that differ from most, and in what."""
    differs = wide.notna() & (wide != usual)
    differences = [
        "; ".join(f"{name} {wide.loc[record, name]}" for name in wide if row[name])
        for record, row in differs.iterrows()
    ]
    rows = wide.assign(differences=differences)[["differences"]]
    rows = report.trials.join(rows[rows.differences != ""], on="record", how="inner")
    columns = ["trial", "role", "optimizer", "task", "implementation", "differences"]
    return Table(
        "mixed-records",
        "The records that differ from most, and in what.",
        rows[columns],
        3,
        headings={"differences": "differs in"},
        status={"differences": ["mixed"] * len(rows)},
    )


def timings(report: Report) -> list[Table]:
    """How long the trials took."""
    frame = report.frame("timings").dropna(subset="seconds")
    if frame.empty:
        return []
    place = ["trial", "implementation", "task"]
    rows = frame.groupby(place).seconds.agg(["size", "sum", "max"]).reset_index()
    return [
        Table(
            "timings-table",
            "How long the trials took, compilation included, on the machine that is named under "
            "Provenance, whatever else ran there. 'loptbench perf' measures single steps.",
            rows,
            3,
            headings={"size": "trials", "sum": "seconds in all", "max": "longest (s)"},
            about=about("timings"),
        )
    ]
