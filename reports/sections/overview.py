"""The first screen: the answer, the loss curves, the verdicts, agreement and caveats."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.optimizers import DEFAULT_ARCHITECTURE
from loptbench.reference_results import table
from loptbench.reports.page.elements import (
    Beside,
    Bullets,
    Item,
    Mark,
    Matrix,
    Part,
    Prose,
    Section,
    Text,
)
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots.evaluations import loss_curves
from loptbench.reports.plots.styles import NO_PRESET
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.reports.sections.performance import against_best
from loptbench.reports.sections.provenance import mixed_facts
from loptbench.reports.sections.reference import shipped_verdicts, summary
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import headline, of_size
from loptbench.results.schema.verdicts import (
    DEPENDS_ON_READING,
    FIRST_CONFIRMATORY_SEED,
    EvidenceKind,
    Outcome,
    Scope,
)

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Do learned optimizers work as the paper says?"
WHAT = (
    "A learned optimizer is a small recurrent network that is meta-trained to turn gradients into "
    "updates; the paper, arXiv 2011.02159, says which mechanisms it finds."
)
MATRIX_CAPTION = (
    "Claims by tasks: ✓ reproduced, ✗ not, ? the seeds do not decide, ~ depends on the reading; "
    "then the seeds that reproduce it, of all. Large: the chosen size; small: GRUs of other "
    "sizes. A click leads to the evidence."
)
DASHED = "Dashed: shipped reference results, where nothing, or fewer seeds, was measured here."
SHARES = ((1.0, "Yes"), (0.5, "Mostly"), (0.0, "Partly"))
"""The answer's first word: the first whose share of reproduced verdicts is reached."""


def answer(report: Report) -> Text:
    """The answer, of at most twenty words, for each size."""
    if not report.n_records:
        if report.damaged:
            return "Nothing in this store can be shown; the reasons are listed below."
        return "This store holds no results yet: run 'loptbench run'."
    if report.verdicts.empty and report.sizes:
        return "No claim is judged yet: 'loptbench run' goes on, and judges at its end."
    if report.verdicts.empty:
        return "No learned optimizer has been measured yet, so no claim is judged."
    return {size: _answer(of_size(report.verdicts, size)) for size in report.sizes}


def _answer(verdicts: "pd.DataFrame") -> str:
    """The answer of one size: verdicts over all seeds, the confirmatory ones if there are any."""
    counts = verdicts.outcome.value_counts()
    n, n_yes, n_no, n_open = (len(verdicts), *(int(counts.get(name, 0)) for name in Outcome))
    if not n_yes + n_no:
        return f"Not decided: the seeds here are too few for any of {n} verdicts."
    word = next(word for share, word in SHARES if n_yes >= share * n) if n_yes else "No"
    return f"{word}: yes in {n_yes} of {n} verdicts, no in {n_no}, undecided in {n_open}."


def overview(report: Report, warnings: Sequence[Part]) -> list[Section]:
    """The first screen, below the title and what failed."""
    figure = loss_curves(
        report.frame("curves"), report.frame("evaluations"), _notes(report), report.command
    )
    left: list[Part] = [] if figure is None else [figure]
    right: list[Part] = [*warnings]
    shipped = shipped_verdicts(report)
    if len(shipped):
        right.append(Prose(_part(report, shipped)))
    if not report.verdicts.empty or len(shipped):
        right.append(verdict_matrix(report.verdicts, report.claims, shipped, _others(report)))
    beside_shipped = [item for item in (summary(report),) if item is not None]
    items = [*_agreement(report), *beside_shipped, *_caveats(report)]
    right += [Bullets(items)] if items else []
    return [Section("verdicts", "Overview", [Beside(left, right)])] if left or right else []


def _part(report: Report, shipped: "pd.DataFrame") -> Text:
    """That a part of the benchmark was run, and what the shipped results say, for each size."""
    sizes = report.sizes or (shipped.preset.iloc[0],)
    everything = table("verdicts")
    words = {}
    for size in sizes:
        own = of_size(everything, size)
        n = int((shipped.preset == size).sum())
        words[size] = (
            f"Of {len(own)} verdicts of the complete run, {n} were not measured here, or on fewer "
            f"seeds. It says, shipped with loptbench: {_answer(own)}"
            if n
            else "All verdicts of the complete run of this size were measured here."
        )
    return words if report.sizes else words[sizes[0]]


def _notes(report: Report) -> dict[str, Text]:
    """For each task and size: the ratio to the best baseline, and the last losses."""
    rows, scheduled = (
        against_best(report, family=family).drop_duplicates("optimizer")
        for family in ("tuned", "scheduled")
    )
    notes: dict[str, dict[str, str]] = {}
    for (task, preset), own in rows.groupby(["task", "preset"]):
        best = own.best.mode().iloc[0]
        ratio, last = _median(own.ratio), _median(own.final_loss_mean)
        last_of_best = _median(own.final_loss_mean_of_best)
        seeds = "1 seed" if len(own) == 1 else f"{len(own)} seeds"
        n_diverged = int((own.n_diverged > 0).sum())
        diverged = f", {n_diverged} with runs that diverged" if n_diverged else ""
        last_ratio = own.last_ratio.median() if math.isfinite(last) else math.inf
        words = (
            f"mean loss {_times(ratio)} × {best}'s ({seeds}{diverged}); last loss "
            f"{number_text(last_ratio, 2)} × ({number_text(last, 2)}, {best}'s "
            f"{number_text(last_of_best, 2)})"
        )
        own = scheduled[(scheduled.task == task) & (scheduled.preset == preset)]
        if not own.empty:
            words += f"; mean loss {_times(_median(own.ratio))} × {own.best.mode().iloc[0]}'s"
        notes.setdefault(task, {})[preset or NO_PRESET] = words
    return dict(notes)


def _median(values: "pd.Series[float]") -> float:
    """The median; an infinite number is no number in a record, so what is missing is infinite."""
    return float(values.fillna(math.inf).median())


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if math.isfinite(ratio) else "∞"


def _others(report: Report) -> set[str]:
    """The sizes whose architecture is not the paper's; a section compares them."""
    checkpoints = report.frame("checkpoints")
    return set(checkpoints.preset[checkpoints.architecture != DEFAULT_ARCHITECTURE])


def verdict_matrix(
    verdicts: "pd.DataFrame",
    claims: Sequence[Claim],
    shipped: "pd.DataFrame",
    others: Collection[str] = (),
) -> Matrix:
    """Claims by tasks: the verdicts over all seeds, of each size and kind.

    Args:
        verdicts: the frame `verdicts`, confirmatory ones first.
        claims: the claims.
        shipped: verdicts of the shipped reference results that stand beside them.
        others: sizes that are shown only when they are chosen.
    """
    import pandas as pd

    own = verdicts[verdicts.scope == Scope.ALL_SEEDS].assign(is_shipped=False)
    parts = [part for part in (own, shipped.assign(is_shipped=True)) if len(part)]
    overall = pd.concat(parts, ignore_index=True) if parts else own
    places = dict.fromkeys(place.split(" and ")[0] for place in overall.task)
    tasks = [task for task in tasks_in_order(overall.task) if task in places]
    rows = []
    for claim in claims:
        own = overall[overall.claim == claim.name]
        if own.empty:
            continue
        # A claim across tasks stands in the column of its first task.
        first = own.task.str.split(" and ").str[0]
        cells = [_marks(own[first == task], others) for task in tasks]
        link = "#reference" if own.is_shipped.all() else f"#claim-{claim.name}"
        rows.append((claim.title, link, cells))
    kinds = " and ".join(kind for kind in EvidenceKind if (overall.kind == kind).any())
    dashed = f" {DASHED}" if len(shipped) else ""
    return Matrix(
        "verdict-matrix",
        f"{MATRIX_CAPTION} All are {kinds}.{dashed}",
        [task.replace("_", " ") for task in tasks],
        rows,
    )


def _marks(verdicts: "pd.DataFrame", others: Collection[str]) -> list[Mark]:
    """The marks of one cell: of each size, confirmatory verdicts before exploratory ones."""
    marks: list[Mark] = []
    for row in verdicts.itertuples():
        size = row.preset or NO_PRESET
        words = f"{row.task}, {size}, {row.kind}: {row.words}"
        words = f"shipped: {words}" if row.is_shipped else words
        words += f", mean {row.value:.3g}" if row.value == row.value else ""
        if row.robustness == row.robustness:
            words += f", {row.robustness:.0%} of other readings agree"
        text = f"{row.n_reproduced}/{row.n_seeds}" + ("~" if row.depends_on_reading else "")
        is_aside = any(mark.size == size for mark in marks)
        is_other = size in others
        marks.append(Mark(row.outcome, text, words, size, is_aside, row.is_shipped, is_other))
    return marks


def _agreement(report: Report) -> list[Item]:
    """The worst agreement as one number for each implementation, and those that are absent."""
    checks = report.checks
    worst = checks[checks.implementation != "reference"].groupby("implementation").ratio.max()
    words = ", ".join(f"{name} {number_text(float(worst[name]), 2)}" for name in worst.index)
    sentence = f"Largest error over its tolerance: {words}."
    items = [Item(sentence, link="#agreement")] if words else []
    for name, (availability, reason) in report.absent.items():
        items.append(Item(f"{name}: {reason}", status=availability))
    return items


def _caveats(report: Report) -> list[Item]:
    """What a reader must know before believing the verdicts."""
    items = []
    if report.n_records:
        used = [name for name in report.names if name not in report.absent]
        sentence = f"{report.n_records} trials of {', '.join(used)}, in the store {report.name}."
        items.append(Item(sentence, link="#provenance"))
    verdicts = headline(report.verdicts)
    n_seen = int((verdicts.kind == EvidenceKind.EXPLORATORY).sum())
    if n_seen:
        which = "All" if n_seen == len(verdicts) else f"{n_seen} of {len(verdicts)}"
        items.append(
            Item(
                f"{which} verdicts are exploratory: the first optimizers with seeds below "
                f"{FIRST_CONFIRMATORY_SEED} had been seen when the claims were written."
            )
        )
    if report.sizes:
        items.append(Item({size: _seeds(report, size) for size in report.sizes}))
    rows = against_best(report)
    rows = rows.assign(size=rows.preset.replace("", NO_PRESET))
    if len(rows):
        ends = {size: _last_losses(rows[rows["size"] == size]) for size in report.sizes}
        items.append(Item(ends, link="#tables"))
    draws = report.frame("tuning").n_draws.dropna()
    if len(draws):
        items.append(
            Item(
                f"Baselines were tuned by random search ({int(draws.median())} draws each) on "
                "problems of their own.",
                link="#tuning-table",
            )
        )
    if mixed_facts(report):
        items.append(
            Item("The records are of mixed provenance.", status="mixed", link="#provenance")
        )
    return items


def _seeds(report: Report, size: str) -> str:
    """How many seeds of a size there are, and how many verdicts depend on the reading."""
    checkpoints = report.frame("checkpoints")
    own = checkpoints[checkpoints.preset.replace("", NO_PRESET) == size]
    counts = own.groupby("task").optimizer.nunique()
    words = ", ".join(f"{counts[task]} on {task}" for task in tasks_in_order(own.task))
    verdicts = of_size(report.verdicts, size)
    n_depend = int(verdicts.depends_on_reading.sum())
    depend = f"; {n_depend} of {len(verdicts)} verdicts {DEPENDS_ON_READING.replace('s on', ' on')}"
    return f"Seeds: {words}{depend if n_depend else ''}."


def _last_losses(rows: "pd.DataFrame") -> str:
    """On how many tasks the best baseline ends lower."""
    medians = rows.groupby("task")[["final_loss_mean", "final_loss_mean_of_best"]].median()
    worse = medians[medians.final_loss_mean > medians.final_loss_mean_of_best]
    names = ", ".join(tasks_in_order(worse.index.to_series()))
    where = f"on {len(worse)} of {len(medians)} tasks" + (f" ({names})" if names else "")
    return (
        "Learned optimizers minimize the mean loss of a run; at its end the best baseline is "
        f"lower {where}."
    )
