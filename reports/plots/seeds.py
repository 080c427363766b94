"""Every seed's statistic beside what is claimed."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from loptbench.claims.catalogue import Claim, Reading
from loptbench.claims.verdicts import INFINITE
from loptbench.reports.page.elements import Figure, Panel, Row
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import BOTTOM, Canvas
from loptbench.reports.plots.styles import INK, LINE, NO_PRESET
from loptbench.reports.plots.svg import Tag, keys
from loptbench.results.schema.verdicts import EvidenceKind, Scope

if TYPE_CHECKING:
    import pandas as pd

SIDES = (0.29, 0.96)
"""Where the axes begin and end: names of tasks stand at their left."""
ROW_HEIGHT = 0.3
"""The height of a task, in inches."""
REACH = 2.0
"""How far the panel reaches beyond the thresholds, in sizes of the larger one."""
COLUMNS = ["claim", "task", "checkpoint", "trained_by", "preset", "kind", "value", "low"]
COLUMNS += ["high"]
"""The columns of the numbers that the figure lets save."""
FAINT = 0.35
"""Opacity of exploratory seeds beside confirmatory ones."""


def seed_plot(
    anchor: str, claims: Sequence[Claim], verdicts: "pd.DataFrame", words: str, command: str
) -> Figure | None:
    """The statistic of every seed, and the mean over seeds with its interval, for each claim.

    Args:
        anchor: the section's.
        claims: the claims, a panel each.
        verdicts: the frame `verdicts`, with the columns `trained_by` and `seed_preset` of each
            checkpoint.
        words: the verdicts in words.
        command: the command that makes the figure again.
    """
    panels: list[Panel | None] = []
    known = verdicts[np.isfinite(verdicts.value)]
    infinite = verdicts[(verdicts.scope == Scope.CHECKPOINT) & (verdicts.reason == INFINITE)]
    infinite = infinite[infinite.claim.isin([claim.name for claim in claims])]
    seeds = known[known.scope == Scope.CHECKPOINT]
    frameworks = sorted(set(seeds.trained_by))
    shown = [styles.implementation(name, frameworks) for name in frameworks]
    for claim in claims:
        own = known[known.claim == claim.name]
        tasks = [task for task in claim.places if (own.task == task).any()]
        if tasks:
            canvas = Canvas(claim.title, 0.4 + ROW_HEIGHT * len(tasks), SIDES, BOTTOM)
            _strip(canvas, claim, own, tasks, shown)
            panels.append(canvas.panel(f"seeds-{anchor}-{len(panels)}", _note(claim)))
    if not panels:
        return None
    return Figure(
        f"seeds-{anchor}",
        "Every seed beside what is claimed",
        "For each claim and task, the statistic of each seed as a point, and the mean over seeds "
        f"with its 95 % interval as a bar; the range that the claim asks for is shaded. {words}.",
        "One point for each seed of the chosen size; the bar counts the errors of seeds and of "
        "problems. A point beyond the panel stands at its edge. Faint: exploratory seeds beside "
        f"confirmatory ones. The paper shows no such figure.{_not_drawn(infinite)}",
        [Row("", panels)],
        keys(shown, _signs()),
        seeds.assign(preset=seeds.seed_preset)[COLUMNS],
        command,
    )


def _not_drawn(infinite: "pd.DataFrame") -> str:
    """That seeds with an infinite statistic are not drawn, and which."""
    if infinite.empty:
        return ""
    named = ", ".join(f"{row.checkpoint} ({row.title})" for row in infinite.itertuples())
    return f" Not drawn, as the statistic is infinite: {named}."


def _note(claim: Claim) -> str:
    """What is measured, and what is claimed of it."""
    reading = claim.primary
    measured = reading.measured.words if reading.compared is None else reading.words
    return f"{measured}; claimed: {claim.threshold}"


def _strip(
    canvas: Canvas,
    claim: Claim,
    verdicts: "pd.DataFrame",
    tasks: Sequence[str],
    shown: Sequence[styles.Style],
) -> None:
    """The panel of one claim: a row for each task."""
    seeds = verdicts[verdicts.scope == Scope.CHECKPOINT]
    means = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    low, high = _range(claim.primary, [*seeds.value, *means.low.dropna(), *means.high.dropna()])
    frameworks = [style.name for style in shown]
    is_second = bool((means.kind == EvidenceKind.CONFIRMATORY).any()) & (
        seeds.kind == EvidenceKind.EXPLORATORY
    )
    place = seeds.trained_by.map(frameworks.index).astype(float) - (len(frameworks) - 1) / 2
    seeds = seeds.assign(
        series=seeds.trained_by,
        optimizer=seeds.checkpoint,
        size=seeds.seed_preset.replace("", NO_PRESET),
        value=seeds.value.clip(low, high),
        row=seeds.task.map(tasks.index).astype(float)
        + 0.2 * place
        + np.where(is_second, 0.12, 0.0),
    )
    for is_faint in (True, False):
        canvas.points(
            seeds[is_second == is_faint], "value", "row", shown, alpha=FAINT if is_faint else 0.9
        )
    for mean in means.itertuples():
        kind = 0.1 if mean.kind == EvidenceKind.EXPLORATORY and is_second.any() else 0.0
        ends = np.clip([mean.low, mean.value, mean.high], low, high)
        (bar,) = canvas.axes.plot(
            ends,
            [tasks.index(mean.task) - 0.36 + kind] * 3,
            color=INK,
            alpha=FAINT if kind else 1.0,
            marker="|",
            markersize=5,
            linewidth=1.8,
        )
        canvas.tag(bar, Tag(size=mean.preset or NO_PRESET))
    canvas.axes.axvspan(
        low if claim.primary.at_least is None else max(low, claim.primary.at_least),
        high if claim.primary.at_most is None else min(high, claim.primary.at_most),
        color=LINE,
        alpha=0.6,
        linewidth=0,
        zorder=0,
    )
    margin = 0.04 * (high - low)
    canvas.axes.set_xlim(low - margin, high + margin)
    canvas.scales()
    canvas.axes.set_ylim(len(tasks) - 0.4, -0.6)
    labels = ["\n".join(textwrap.wrap(task.replace("_", " "), 12)) for task in tasks]
    canvas.axes.set_yticks(range(len(tasks)), labels, fontsize=9)
    canvas.axes.grid(visible=False, axis="y")


def _range(reading: Reading, values: Sequence[float]) -> tuple[float, float]:
    """The range of a panel: the thresholds, and the values that are not far beyond them."""
    finite = [value for value in values if np.isfinite(value)]
    thresholds = [end for end in (reading.at_least, reading.at_most) if end is not None]
    reach = REACH * (max(np.abs(thresholds)) or 1.0)
    low = max(min([*finite, *thresholds]), min(thresholds) - reach)
    high = min(max([*finite, *thresholds]), max(thresholds) + reach)
    return float(low), float(high) if high > low else float(low) + 1.0


def _signs() -> list[Any]:
    mean = Line2D([], [], color=INK, marker="|", label="mean over seeds, 95 % interval")
    return [mean, Patch(color=LINE, label="what is claimed")]
