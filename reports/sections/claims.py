"""The claims and their verdicts: the matrix of the first screen, and a section for each subject."""

from collections.abc import Sequence
from typing import Any

from loptbench.claims.catalogue import Claim, claims
from loptbench.claims.statistics import STATISTICS
from loptbench.claims.verdicts import Outcome, Scope, Verdict
from loptbench.reports.page.cells import Cell, table_of_cells
from loptbench.reports.page.elements import Bullets, Folded, Item, Part, Prose, Section, Table
from loptbench.reports.plots.seeds import MadeBy, strips
from loptbench.reports.sections.forms import verdict_of
from loptbench.reports.sections.mechanisms import mechanism_figure
from loptbench.reports.sections.verdict_words import (
    WORDS,
    framework,
    in_words,
    of_most_seeds,
    otherwise,
    preset,
    those,
)
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS

SUBJECTS = {
    "performance": ("Performance", ("optimizes", "better-than-baselines")),
    "convergence": (
        "Convergence and linear dynamics",
        ("single-convergence-point", "linear-near-convergence"),
    ),
    "momentum": ("Momentum", ("momentum", "momentum-of-theory", "momentum-of-tuning")),
    "clipping": ("Gradient clipping", ("clipping", "clipping-spared", "clipping-engaged")),
    "schedule": (
        "Learning-rate schedule",
        ("schedule-rises", "schedule-peaks", "schedule-decays", "schedule-absent"),
    ),
    "adaptation": ("Learning-rate adaptation", ("adaptation", "adaptation-strength")),
}
"""The sections on claims, and which claims each is about."""
PROBES = ("momentum", "clipping", "schedule", "adaptation")
RULE = (
    "Each claim is a statistic with a threshold that was set before it was measured. Over all "
    "seeds of meta-training it is reproduced if the 95 % bootstrap interval of the mean, over "
    "seeds and problems, lies where the claim says and at least four of five seeds agree; not "
    "reproduced if the interval lies elsewhere, or straddles the threshold while at least four of"
    " five seeds speak against the claim; else, and with fewer than five seeds, inconclusive."
)


def verdicts_of(stored: Sequence[Any]) -> tuple[list[Verdict], int]:
    """A store's verdicts, and how many entries are none: those of another version of loptbench."""
    names = {claim.name for claim in claims()}
    found = [v for one in stored if (v := verdict_of(one)) is not None and v.claim in names]
    found = [v for v in found if v.task in TASKS]
    return found, len(stored) - len(found)


def verdict_matrix(verdicts: Sequence[Verdict]) -> Table:
    """Claims by tasks: the verdict over all seeds in each cell, and how many of them agree."""
    tasks = [task for task in TASKS if any(v.task == task for v in verdicts)]
    rows: list[list[Cell | str]] = []
    for claim in claims():
        of_claim = [v for v in verdicts if v.claim == claim.name]
        if of_claim:
            title = Cell(claim.title, href=f"#claim-{claim.name}", note=claim.threshold)
            cells = [
                _matrix_cell([v for v in of_claim if v.task == task], task, claim) for task in tasks
            ]
            rows.append([title, *cells])
    return table_of_cells(
        "verdict-matrix",
        "Claims of the paper by tasks, over meta-training seeds: yes, reproduced; no, not "
        "reproduced; open, the seeds do not decide; and on how many seeds of all it is reproduced. "
        "Small: the mean over seeds, to be held to the threshold under the claim, and the seeds by "
        "the framework that meta-trained them. A dash: the paper does not claim it of the task.",
        ["claim", *tasks],
        rows,
    )


def not_reproduced(verdicts: Sequence[Verdict]) -> list[Part]:
    """Which claims are not reproduced, and which are open, by name: the first thing to know."""
    headings = {
        Outcome.NOT_REPRODUCED: "Not reproduced",
        Outcome.INCONCLUSIVE: "Open, because seeds do not decide",
    }
    said = [(heading, those(verdicts, outcome)) for outcome, heading in headings.items()]
    said.append(("Otherwise with fewer seeds of another preset", otherwise(verdicts)))
    items = [Item(f"{heading}: {names}.") for heading, names in said if names]
    return [Bullets(items)] if items else []


def _matrix_cell(verdicts: Sequence[Verdict], task: str, claim: Claim) -> Cell:
    if task not in claim.tasks:
        return Cell("", text="–", status="empty")
    overall = [v for v in verdicts if v.scope is Scope.ALL_SEEDS]
    if not overall:
        return Cell("not run", status="not run", note="no learned optimizer")
    first = of_most_seeds(overall)
    parts = [
        f"{framework(v)} {v.n_reproduced}/{v.n_seeds}"
        for v in verdicts
        if v.scope is Scope.ONE_FRAMEWORK and preset(v) == preset(first)
    ] or [framework(first)]
    parts += [f"preset {preset(v)} {v.n_reproduced}/{v.n_seeds}" for v in overall if v is not first]
    mean = f"mean {first.value:.3g}; " if first.value is not None else ""
    return Cell(
        f"{WORDS[first.outcome]} {first.n_reproduced}/{first.n_seeds}",
        status=str(first.outcome),
        note=mean + ", ".join(parts),
    )


def claim_sections(
    verdicts: Sequence[Verdict],
    records: Sequence[Record],
    made_by: MadeBy,
    points: Table | None,
    command: str,
) -> list[Section]:
    """A section for each subject that there are verdicts on.

    Args:
        verdicts: the store's.
        records: those of the mechanisms trials.
        made_by: of each learned optimizer its preset, and what meta-trained it.
        points: the table of convergence points.
        command: what makes the figures again.
    """
    sections = []
    for anchor, (title, names) in SUBJECTS.items():
        own = [claim for claim in claims() if claim.name in names]
        of_subject = [v for v in verdicts if v.claim in names]
        parts: list[Part] = []
        if anchor in PROBES:
            said = f"Verdicts over seeds: {'; '.join(in_words(of_subject)) or 'none were drawn'}."
            figure = mechanism_figure(records, anchor, said, command)
            parts += [figure] if figure is not None else []
        seeds = strips(anchor, own, of_subject, made_by, command)
        parts += [seeds] if seeds is not None else []
        for claim in own:
            parts += _claim(claim, [v for v in of_subject if v.claim == claim.name])
        if anchor == "convergence" and points is not None:
            parts.append(Folded("The convergence point of every optimizer", [points]))
        if parts:
            sections.append(Section(f"subject-{anchor}", title, parts))
    return sections


def _claim(claim: Claim, verdicts: Sequence[Verdict]) -> list[Part]:
    over_seeds = [v for v in verdicts if v.scope is not Scope.CHECKPOINT]
    if not over_seeds:
        return []
    rows = [
        [
            v.task,
            preset(v),
            framework(v),
            Cell(str(v.outcome), status=str(v.outcome), note=v.reason),
            v.value,
            v.low,
            v.high,
            v.n_seeds,
            v.n_reproduced,
            v.n_against,
        ]
        for v in over_seeds
    ]
    table = table_of_cells(
        f"claim-{claim.name}",
        f"{claim.sentence} Measured: {STATISTICS[claim.statistic].words}; "
        f"claimed: {claim.threshold}.",
        [
            "task",
            "preset",
            "trained in",
            "verdict",
            "mean",
            "95 % from",
            "95 % to",
            "seeds",
            "for it",
            "against it",
        ],
        rows,
        3,
        claim.title,
    )
    return [table]


def warnings(n_dropped: int, are_of_these: bool) -> list[Part]:
    """What is said of verdicts that could not be read, or were drawn from other records.

    Args:
        n_dropped: how many could not be read.
        are_of_these: whether the others were drawn from the records that the report shows.
    """
    said = []
    if n_dropped:
        said.append(f"{n_dropped} verdicts are of another version of loptbench and are left out.")
    if not are_of_these:
        said.append(
            "The verdicts were drawn from other records than those of this report: from fewer, "
            "or before some were made again."
        )
    items = [Item(one, status="mixed") for one in said]
    return [Bullets(items), Prose("'loptbench run' draws verdicts again.")] if items else []
