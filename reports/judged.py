"""The claims and their verdicts: the matrix of the first screen, and a section for each subject."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.claims import Claim, claims
from loptbench.evidence import IN_WORDS
from loptbench.records import Record
from loptbench.reports import looks
from loptbench.reports.drawing import LINE, Canvas
from loptbench.reports.elements import (
    Bullets,
    Cell,
    Figure,
    Folded,
    Panel,
    Part,
    Prose,
    Section,
    Table,
)
from loptbench.reports.forms import verdict_of
from loptbench.reports.mechanisms import mechanism_figure
from loptbench.tasks import TASKS
from loptbench.verdicts import Outcome, Scope, Verdict

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
WORDS = {Outcome.REPRODUCED: "yes", Outcome.NOT_REPRODUCED: "no", Outcome.INCONCLUSIVE: "open"}
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
    return Table(
        "verdict-matrix",
        "Claims of the paper by tasks, over all meta-training seeds: yes, it is reproduced; no, it "
        "is not; open, the seeds do not decide. Of how many seeds alone it is reproduced; the mean "
        "over seeds of what was measured, to be held to the threshold under the claim; and the "
        "seeds by the framework that meta-trained them. – is not claimed of the task.",
        ["claim", *tasks],
        rows,
    )


def _matrix_cell(verdicts: Sequence[Verdict], task: str, claim: Claim) -> Cell:
    if task not in claim.tasks:
        return Cell("", text="–", status="empty")
    overall = [v for v in verdicts if v.scope is Scope.ALL_SEEDS]
    if not overall:
        return Cell("not run", status="not run", note="no learned optimizer")
    first = _of_most_seeds(overall)
    parts = [
        f"{_framework(v)} {v.n_reproduced}/{v.n_seeds}"
        for v in verdicts
        if v.scope is Scope.ONE_FRAMEWORK and _preset(v) == _preset(first)
    ] or [_framework(first)]
    parts += [f"{_preset(v)}: {v.n_reproduced}/{v.n_seeds}" for v in overall if v is not first]
    mean = f"mean {first.value:.3g}; " if first.value is not None else ""
    return Cell(
        f"{WORDS[first.outcome]} {first.n_reproduced}/{first.n_seeds}",
        status=str(first.outcome),
        note=mean + ", ".join(parts),
    )


def _of_most_seeds(presets: Sequence[Verdict]) -> Verdict:
    """Of the verdicts on the presets of a task, the one that stands for it."""
    return max(presets, key=lambda v: v.n_seeds)


def _preset(verdict: Verdict) -> str:
    return verdict.subject.partition(", ")[0]


def _framework(verdict: Verdict) -> str:
    return verdict.subject.partition("meta-trained in ")[2]


def claim_sections(
    verdicts: Sequence[Verdict],
    records: Sequence[Record],
    made_in: Mapping[str, str],
    points: Table | None,
    command: str,
) -> list[Section]:
    """A section for each subject that there are verdicts on.

    Args:
        verdicts: the store's.
        records: those of the mechanisms trials.
        made_in: what meta-trained each learned optimizer.
        points: the table of convergence points.
        command: what makes the figures again.
    """
    sections = []
    for anchor, (title, names) in SUBJECTS.items():
        own = [claim for claim in claims() if claim.name in names]
        of_subject = [v for v in verdicts if v.claim in names]
        parts: list[Part] = []
        if anchor in PROBES:
            said = f"Verdicts over seeds: {'; '.join(_words(of_subject)) or 'none were drawn'}."
            figure = mechanism_figure(records, anchor, said, command)
            parts += [figure] if figure is not None else []
        strips = _strips(anchor, own, of_subject, made_in, command)
        parts += [strips] if strips is not None else []
        for claim in own:
            parts += _claim(claim, [v for v in of_subject if v.claim == claim.name])
        if anchor == "convergence" and points is not None:
            parts.append(Folded("The convergence point of every optimizer", [points]))
        if parts:
            sections.append(Section(f"subject-{anchor}", title, parts))
    return sections


def _words(verdicts: Sequence[Verdict]) -> list[str]:
    """Each verdict over seeds in a few words: threshold, outcome, seeds and interval."""
    known = {claim.name: claim for claim in claims()}
    return [
        f"{known[v.claim].title}, {v.task} ({known[v.claim].threshold}): {v.outcome}, "
        f"{v.n_reproduced} of {v.n_seeds} seeds"
        + (f", mean {v.value:.3g}" if v.value is not None else "")
        + (f" [{v.low:.3g}, {v.high:.3g}]" if v.low is not None else "")
        for v in verdicts
        if v.scope is Scope.ALL_SEEDS
    ]


def _claim(claim: Claim, verdicts: Sequence[Verdict]) -> list[Part]:
    over_seeds = [v for v in verdicts if v.scope is not Scope.CHECKPOINT]
    if not over_seeds:
        return []
    rows = [
        [
            v.task,
            v.subject,
            Cell(str(v.outcome), status=str(v.outcome), note=_reason(v)),
            v.n_reproduced,
            v.n_seeds,
            v.value,
            v.low,
            v.high,
        ]
        for v in over_seeds
    ]
    table = Table(
        f"claim-{claim.name}",
        f"{claim.sentence} Measured: {IN_WORDS[claim.statistic]}; claimed: {claim.threshold}.",
        [
            "task",
            "seeds of",
            "verdict",
            "seeds that reproduce it",
            "seeds",
            "mean",
            "95 % from",
            "95 % to",
        ],
        rows,
        2,
        claim.title,
    )
    return [table]


def _reason(verdict: Verdict) -> str:
    """Why, where neither the number nor the verdict says it."""
    if verdict.reason or verdict.outcome is not Outcome.INCONCLUSIVE:
        return verdict.reason
    return "the threshold lies in the interval, and fewer than four of five seeds speak against"


def _by_checkpoint(anchor: str, verdicts: Sequence[Verdict]) -> Table:
    rows = [
        [
            v.claim,
            v.task,
            v.subject.removeprefix("checkpoint "),
            Cell(str(v.outcome), status=str(v.outcome), note=v.reason),
            v.value,
            v.low,
            v.high,
        ]
        for v in verdicts
        if v.scope is Scope.CHECKPOINT
    ]
    return Table(
        f"checkpoints-{anchor}",
        "The verdict on each learned optimizer alone. Its interval is over problems; a statistic "
        "that does not depend on problems is its own interval.",
        ["claim", "task", "learned optimizer", "verdict", "statistic", "95 % from", "95 % to"],
        rows,
        3,
    )


def _strips(
    anchor: str,
    own: Sequence[Claim],
    verdicts: Sequence[Verdict],
    made_in: Mapping[str, str],
    command: str,
) -> Figure | None:
    """Every seed's statistic, and their mean with its interval, beside what is claimed."""
    panels: list[Panel] = []
    shown: list[looks.Look] = []
    for claim in own:
        of_claim = [v for v in verdicts if v.claim == claim.name]
        tasks = [task for task in claim.tasks if any(v.task == task for v in of_claim)]
        if not tasks:
            continue
        canvas = Canvas(claim.title, 0.75 + 0.32 * len(tasks))
        for place, task in enumerate(tasks):
            of_task = [v for v in of_claim if v.task == task]
            shown += _strip(canvas, of_task, place, made_in)
        _finish_strip(canvas, claim, tasks)
        panels.append(canvas.panel(f"seeds-{anchor}-{len(panels)}"))
    if not panels:
        return None
    return Figure(
        f"seeds-{anchor}",
        "Every seed beside what is claimed",
        "For each claim and task, the statistic of each seed as a point, and the mean over seeds "
        "with its 95 % interval as a bar; where the claim says is shaded. "
        f"{'; '.join(_words(verdicts))}.",
        "Points are meta-training seeds, by what meta-trained them; an arrow at the edge "
        "is for what lies beyond it, or is infinite. No figure of the paper shows this.",
        panels,
        looks.keys(sorted(set(shown), key=lambda look: look.name)),
        [_by_checkpoint(anchor, verdicts)],
        command,
    )


def _strip(
    canvas: Canvas, verdicts: Sequence[Verdict], place: int, made_in: Mapping[str, str]
) -> list[looks.Look]:
    single = [v for v in verdicts if v.scope is Scope.CHECKPOINT and v.value is not None]
    found: dict[looks.Look, list[tuple[float, float]]] = {}
    for i, verdict in enumerate(single):
        # A point for each seed, a little above and below each other so that all are seen.
        up = 0.3 * (i / (len(single) - 1) - 0.5) if len(single) > 1 else 0.0
        framework = made_in.get(verdict.subject.removeprefix("checkpoint "), "unknown")
        look = looks.implementation(framework, sorted(set(made_in.values())))
        found.setdefault(look, []).append((float(verdict.value or 0.0), place + 0.1 + up))
    for look, points in found.items():
        x, y = zip(*points, strict=True)
        style: Any = {"linestyle": "", "markersize": 3.5, "clip_on": False}
        canvas.ax.plot(x, y, color=look.light, marker=look.marker, **style)
    ends = [
        [v.low, v.value, v.high]
        for v in verdicts
        if v.scope is Scope.ALL_SEEDS and None not in (v.low, v.value, v.high)
    ]
    for x_of_bar in ends:
        style = {"color": looks.BOUND.light, "marker": "|", "markersize": 5, "linewidth": 1.8}
        canvas.ax.plot(np.array(x_of_bar, float), [place - 0.28] * 3, **style)
    return list(found)


def _finish_strip(canvas: Canvas, claim: Claim, tasks: Sequence[str]) -> None:
    ax = canvas.ax
    values = np.concatenate([np.asarray(line.get_xdata(), float) for line in ax.lines])
    finite = values[np.isfinite(values)]
    ends = [x for x in (claim.at_least, claim.at_most) if x is not None]
    # Where most of the points are, and the threshold; what lies far beyond stands at the edge.
    some = np.quantile(finite, [0.15, 0.85]) if finite.size else np.array(ends)
    reach = 2 * (some[1] - some[0]) + 0.1 * max(abs(x) for x in (*ends, *some))
    low = max(min([*finite, *ends]), min([*some, *ends]) - reach)
    high = min(max([*finite, *ends]), max([*some, *ends]) + reach)
    margin = 0.06 * (high - low or 1)
    low, high = low - margin, high + margin
    ax.set_xlim(low, high)
    for line in list(ax.lines):
        x, y = (np.asarray(one, float) for one in (line.get_xdata(), line.get_ydata()))
        line.set_xdata(np.clip(x, low, high))
        for beyond, edge, marker in ((x < low, low, "<"), (x > high, high, ">")):
            if beyond.any():
                style: Any = {"linestyle": "", "marker": marker, "clip_on": False, "markersize": 7}
                ax.plot(np.full(beyond.sum(), edge), y[beyond], color=line.get_color(), **style)
    ax.axvspan(
        max(low, claim.at_least) if claim.at_least is not None else low,
        min(high, claim.at_most) if claim.at_most is not None else high,
        color=LINE,
        alpha=0.6,
        linewidth=0,
        zorder=0,
    )
    canvas.ticks("y", range(len(tasks)), tasks)
    ax.set_ylim(len(tasks) - 0.5, -0.5)
    canvas.labels(IN_WORDS[claim.statistic], "")


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
    items = [Cell(one, status="mixed") for one in said]
    return [Bullets(items), Prose("'loptbench run' draws verdicts again.")] if items else []


def one_line(verdicts: Sequence[Verdict]) -> str:
    """How many claims on tasks came out how, of the preset that has most seeds there."""
    by_cell: dict[tuple[str, str], list[Verdict]] = {}
    for v in verdicts:
        if v.scope is Scope.ALL_SEEDS:
            by_cell.setdefault((v.claim, v.task), []).append(v)
    overall = [_of_most_seeds(presets) for presets in by_cell.values()]
    counts = {word: sum(v.outcome is word for v in overall) for word in Outcome}
    said = ", ".join(f"{n} {word}" for word, n in counts.items())
    n = len({v.claim for v in overall})
    return f"of {n} claims, {len(overall)} times on a task, {said}" if overall else ""
