"""Every seed's statistic beside what is claimed."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from loptbench.claims.catalogue import Claim, Reading
from loptbench.reports.page.elements import Figure, Panel, Table
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import BOTTOM, LINE_HEIGHT, Canvas, legend
from loptbench.reports.plots.styles import INK, LINE
from loptbench.results.schema.verdicts import Scope

if TYPE_CHECKING:
    import pandas as pd

LABEL_LENGTH = 36
"""Characters of an axis label on one line."""


def seed_plot(
    anchor: str,
    claims: Sequence[Claim],
    verdicts: "pd.DataFrame",
    words: str,
    tables: Sequence[Table],
    command: str,
) -> Figure | None:
    """The statistic of every seed, and the mean over seeds with its interval, for each claim.

    Args:
        anchor: the section's.
        claims: the claims, a panel each.
        verdicts: the frame `verdicts`, with the columns `trained_by` and `seed_preset` of each
            checkpoint.
        words: the verdicts in words.
        tables: the numbers.
        command: the command that makes the figure again.
    """
    panels: list[Panel] = []
    frameworks = sorted(set(verdicts.trained_by[verdicts.scope == Scope.CHECKPOINT]))
    shown = [styles.implementation(name, frameworks) for name in frameworks]
    for claim in claims:
        own = verdicts[(verdicts.claim == claim.name) & np.isfinite(verdicts.value)]
        tasks = [task for task in claim.places if (own.task == task).any()]
        if tasks:
            label = textwrap.wrap(_label(claim.primary), LABEL_LENGTH)
            more = LINE_HEIGHT * (len(label) - 1)
            canvas = Canvas(claim.title, 0.85 + 0.32 * len(tasks) + more, BOTTOM + more)
            canvas.labels("\n".join(label), "")
            canvas.axes.tick_params(axis="y", labelsize=7.5)
            _strip(canvas, claim, own, tasks, shown)
            panels.append(canvas.panel(f"seeds-{anchor}-{len(panels)}"))
    if not panels:
        return None
    name = f"seeds-{anchor}"
    return Figure(
        name,
        "Every seed beside what is claimed",
        "For each claim and task, the statistic of each seed as a point, and the mean over seeds "
        f"with its 95 % interval as a bar; the range that the claim asks for is shaded. {words}.",
        "Each point is one meta-training seed. Faint are those of another preset, and exploratory "
        "ones beside confirmatory ones. The bar counts the errors of seeds and of problems, so it "
        "can be wider than the points lie apart. A point far beyond the others stands at the edge; "
        "the table has its number. The paper shows no such figure.",
        panels,
        legend(shown, f"{name}-legend", _signs()),
        tables,
        command,
    )


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
    # Confirmatory verdicts come before exploratory ones, by the alphabet.
    means = means.sort_values(["kind", "n_seeds"], ascending=[True, False])
    means = means.drop_duplicates("task")
    low, high = _range(claim.primary, [*seeds.value, *means.low.dropna(), *means.high.dropna()])
    shown_mean = means.set_index("task")
    usual = seeds.task.map(shown_mean.preset).fillna(seeds.seed_preset)
    usual_kind = seeds.task.map(shown_mean.kind).fillna(seeds.kind)
    options: dict[str, Any] = {
        "x": "value",
        "y": "task",
        "order": tasks,
        "hue": "trained_by",
        "hue_order": [style.name for style in shown],
        "palette": {style.name: style.light for style in shown},
        "jitter": False,
        "dodge": True,
        "size": 4,
        "legend": False,
        "ax": canvas.axes,
    }
    seeds = seeds.assign(value=seeds.value.clip(low, high))
    is_usual = (seeds.seed_preset == usual) & (seeds.kind == usual_kind)
    sns.stripplot(seeds[is_usual], **options)
    if (~is_usual).any():
        sns.stripplot(seeds[~is_usual], **{**options, "alpha": 0.35})
    for mean in means.itertuples():
        height = tasks.index(mean.task) - 0.4
        ends = np.clip([mean.low, mean.value, mean.high], low, high)
        canvas.axes.plot(ends, [height] * 3, color=INK, marker="|", markersize=5, linewidth=1.8)
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
    canvas.axes.set_ylim(len(tasks) - 0.4, -0.6)
    canvas.axes.set_ylabel("")
    canvas.axes.set_yticks(range(len(tasks)), [task.replace(" and ", ",\n") for task in tasks])


def _label(reading: Reading) -> str:
    """The statistic in words; of a comparison of two tasks, what is compared."""
    return reading.measured.words if reading.compared is None else reading.words


def _range(reading: Reading, values: Sequence[float]) -> tuple[float, float]:
    """The range of a panel: most of the values and the thresholds, without far outliers."""
    finite = np.array([value for value in values if np.isfinite(value)])
    thresholds = [end for end in (reading.at_least, reading.at_most) if end is not None]
    middle = np.quantile(finite, [0.15, 0.85])
    reach = 2 * (middle[1] - middle[0]) + 0.1 * max(np.abs([*thresholds, *middle]))
    inner = [*middle, *thresholds]
    low = max(min([*finite, *thresholds]), min(inner) - reach)
    high = min(max([*finite, *thresholds]), max(inner) + reach)
    return float(low), float(high) if high > low else float(low) + 1.0


def _signs() -> list[Any]:
    mean = Line2D([], [], color=INK, marker="|", label="mean over seeds, 95 % interval")
    return [mean, Patch(color=LINE, label="what is claimed")]
