"""What was measured here beside the shipped reference results."""

from typing import TYPE_CHECKING

from loptbench.reference_results import table
from loptbench.reference_results.comparison import OUTSIDE, SAME, WITHIN
from loptbench.reports.page.elements import Bullets, Data, Item, Part, Prose, Section, Table
from loptbench.reports.page.tables import marked, or_prose
from loptbench.reports.plots.styles import NO_PRESET
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.reports.sections.report import Report, about
from loptbench.reports.sections.verdicts import standing
from loptbench.results.schema.verdicts import Scope

if TYPE_CHECKING:
    import pandas as pd

CELL = ["claim", "task", "preset"]
"""A cell of the matrix of verdicts, and a size."""

RULE = (
    "Compared is what is the same on both sides: problems, weights or hyperparameters, "
    "implementation, device and dtype, and verdicts on the same seeds. A mean agrees if it moves "
    "by at most 1.96 standard errors, as other problems would move it."
)
HEADINGS = {"words": "here", "value": "value here", "mean": "mean here", "n_diverged": "diverged"}
HEADINGS |= {"reference_words": "shipped", "reference_value": "value shipped"}
HEADINGS |= {"reference_mean": "mean shipped", "reference_diverged": "diverged, shipped"}
VERDICTS = ["claim", "task", "on", "words", "value", "reference_words", "reference_value"]
MEANS = ["optimizer", "task", "implementation", "dtype", "mean", "reference_mean", "bound"]
MEANS += ["n_diverged", "reference_diverged", "agreement"]


def shipped_verdicts(report: Report) -> "pd.DataFrame":
    """The shipped verdicts over all seeds, of the sizes here, that rest on more seeds than here.

    Returns: rows of the frame `verdicts`; none if nothing here is of the shipped benchmark, or if
        the shipped verdicts are on other claims.
    """
    shipped = standing(table("verdicts"))
    names = [claim.name for claim in report.claims]
    is_known = (shipped.edition == report.edition.name) & shipped.claim.isin(names)
    if report.sizes:
        is_known &= shipped.preset.replace("", NO_PRESET).isin(report.sizes)
    if not report.reference.is_of_same_benchmark:
        is_known &= False
    own = standing(report.verdicts).groupby(CELL).n_seeds.max()
    here = own.reindex(shipped[CELL].itertuples(index=False, name=None)).fillna(0).to_numpy()
    return shipped[is_known & (shipped.n_seeds.to_numpy() > here)]


def summary(report: Report) -> Item | None:
    """How the results agree with the shipped ones, in a sentence; None if nothing is common."""
    compared = report.reference
    if not compared.is_of_same_benchmark:
        return None
    n_same = int(compared.verdicts["same"].sum())
    n_agree = int((compared.objectives["agreement"] != OUTSIDE).sum())
    sentence = (
        f"Beside the shipped reference results: {n_same} of {len(compared.verdicts)} verdicts have "
        f"the same outcome, {n_agree} of {len(compared.objectives)} means agree."
    )
    return Item(sentence, link="#reference", status="" if compared.agrees else "changed")


def reference_section(report: Report) -> list[Section]:
    """What was measured here, what is shipped, and how the two agree."""
    compared = report.reference
    origin = compared.about
    version = origin.facts.get("loptbench", "unknown")
    words = (
        "Every number and figure of this page was measured here. Shipped with loptbench are the "
        f"results of one complete run ({origin.n_trials} trials, loptbench {version}, claims of "
        f"edition {origin.claims}): of the two, only this section and dashed verdicts show those."
    )
    parts: list[Part] = [Prose(words)]
    if not compared.is_of_same_benchmark:
        parts.append(Prose("Nothing that was measured here is among them."))
        return [Section("reference", "Here, and as shipped", parts)]
    parts += [_counts(report), *_disagreements(report), *_notes(report), *_all(report)]
    return [Section("reference", "Here, and as shipped", parts)]


def _counts(report: Report) -> Table:
    """How many verdicts and means agree, task by task."""
    import pandas as pd

    verdicts, means = report.reference.verdicts, report.reference.objectives
    places = verdicts.task.str.split(" and ").str[0]
    tasks = tasks_in_order(pd.concat([places, means.task]))
    of_task = means.groupby("task").agreement.value_counts().unstack(fill_value=0)
    of_task = of_task.reindex(index=tasks, columns=[SAME, WITHIN, OUTSIDE], fill_value=0)
    outcomes = verdicts.groupby(places).same.agg(["size", "sum"])
    outcomes = outcomes.reindex(tasks, fill_value=0).astype(int)
    frame = pd.DataFrame(
        {
            "task": tasks,
            "verdicts": outcomes["size"].to_numpy(),
            "of another outcome": (outcomes["size"] - outcomes["sum"]).to_numpy(),
            "mean meta-objectives": of_task.sum(axis=1).to_numpy(),
            **{name: of_task[name].to_numpy() for name in of_task},
        }
    )
    bad = ("of another outcome", OUTSIDE)
    status = {name: marked(frame[name] > 0, "changed") for name in bad}
    return Table("reference-counts", RULE, frame, status=status)


def _verdicts(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    single = verdicts.scope == Scope.CHECKPOINT
    on = verdicts.checkpoint.where(single, verdicts.preset + ", " + verdicts.scope)
    return verdicts.assign(on=on)


def _disagreements(report: Report) -> list[Part]:
    """What does not agree, verdicts first."""
    verdicts, means = report.reference.verdicts, report.reference.objectives
    other = _verdicts(verdicts[~verdicts.same])[VERDICTS]
    outside = means[means.agreement == OUTSIDE][MEANS[:-1]]
    return [
        *or_prose(
            Table(
                "reference-verdicts-changed",
                "Verdicts with another outcome here than in the shipped results.",
                other,
                3,
                headings=HEADINGS,
                status={"words": ["changed"] * len(other)},
            ),
            "No verdict has another outcome here.",
        ),
        *or_prose(
            Table(
                "reference-means-outside",
                "Mean meta-objectives outside their bound.",
                outside,
                4,
                headings=HEADINGS,
                status={"mean": ["changed"] * len(outside)},
            ),
            "No mean meta-objective is outside its bound.",
        ),
    ]


def _notes(report: Report) -> list[Part]:
    """What could not be compared, what failed in the shipped run, and what is different here."""
    compared = report.reference
    items = []
    if compared.n_other:
        sentence = f"{compared.n_other} evaluations here are not among the shipped ones"
        if compared.n_on_other_problems:
            sentence += f", {compared.n_on_other_problems} of them for their number of problems"
        items.append(Item(f"{sentence}."))
    items += [Item(f"Failed in the shipped run: {failed}.") for failed in compared.about.failed]
    facts = compared.other_facts.items()
    if facts:
        differences = "; ".join(f"{name} {here} ({there})" for name, (here, there) in facts)
        items.append(Item(f"Other here than there (in brackets): {differences}."))
    return [Bullets(items)] if items else []


def _all(report: Report) -> list[Part]:
    """Everything that was compared, in two long tables."""
    verdicts, means = report.reference.verdicts, report.reference.objectives
    parts = [
        Data(
            "reference-verdicts",
            "Verdicts here and as shipped",
            "Every verdict on the same seeds on both sides.",
            _verdicts(verdicts)[[*VERDICTS, "same"]].rename(columns=HEADINGS),
            3,
        ),
        Data(
            "reference-means",
            "Means here and as shipped",
            "Every mean meta-objective of the same problems on both sides, and how far it may be.",
            means[MEANS].rename(columns=HEADINGS),
            4,
            about("evaluations"),
        ),
    ]
    return [part for part in parts if len(part.frame)]
