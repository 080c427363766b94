"""Loss curves: learned optimizers beside tuned baselines, a panel for each task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.reports.page.elements import Figure, Panel, Row, Text
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, long, one_implementation, series
from loptbench.reports.plots.styles import OPTIMIZERS, Style
from loptbench.reports.plots.svg import Tag, keys
from loptbench.tasks import in_order

if TYPE_CHECKING:
    import pandas as pd

MAX_LOSS_SHOWN = 10.0
BEYOND = 10 * MAX_LOSS_SHOWN
"""The top of the loss axis, in first losses; diverging runs leave the panel there."""
WIDTH, HEIGHT, SIDES = 3.7, 1.95, (0.13, 0.78)
"""Size of a panel in inches, and the ends of its axes: labels stand at their right."""
N_BEST = 2
"""Number of baselines that are drawn in full colour, with their names beside them."""
MUTED_ALPHA = 0.35
LABEL_DISTANCE = 0.085
"""Least distance of two labels, as a fraction of the panel's height."""


def loss_curves(
    curves: "pd.DataFrame",
    evaluations: "pd.DataFrame",
    notes: Mapping[str, Text],
    command: str,
) -> Figure | None:
    """The paper's first figure: loss over first loss against the inner step, on every task.

    Args:
        curves: the frame `curves`.
        evaluations: the frame `evaluations`, for the best baselines and the words.
        notes: the line under each task's panel.
        command: the command that makes the figure again.
    """
    data = one_implementation(series(curves[curves.role != "control"]))
    if data.empty:
        return None
    tasks = in_order(data.task)
    panels: list[Panel | None] = []
    shown = styles.optimizers(data.series)
    sizes = [size for size in dict.fromkeys(data["size"]) if size]
    for place, task in enumerate(tasks):
        canvas = Canvas(task, HEIGHT, SIDES, width=WIDTH)
        named = data[(data.task == task) & (data.role == "adapted")].optimizer.unique()
        best = [*best_baselines(evaluations, task)[:N_BEST], *named]
        _panel(canvas, data[data.task == task], shown, best, sizes)
        panels.append(canvas.panel(f"curves-{place}", notes.get(task, "")))
    objectives = "; ".join(
        f"{row.optimizer} on {row.task} in {row.implementation} {number_text(row.objective_mean)}"
        f" ± {number_text(row.objective_standard_error)}"
        for row in evaluations.itertuples()
    )
    learned = "learned" in {style.name for style in shown}
    return Figure(
        "curves",
        "Loss curves: " + ("learned against tuned baselines" if learned else "tuned baselines"),
        "Loss over first loss against inner step on a log scale, a panel for each task. Mean "
        f"meta-objectives: {objectives}.",
        "Mean loss over first loss, against the inner step. Bold: median over seeds; band: lowest "
        "to highest seed. Baselines are tuned; the best two have names. Compare the paper's first "
        "figure." + ("" if learned else " No learned optimizer was among the checkpoints."),
        [Row("", panels)],
        keys(shown),
        long(data, "step", "loss_mean", "loss_standard_error"),
        command,
    )


def best_baselines(evaluations: "pd.DataFrame", task: str) -> list[str]:
    """The tuned baselines of a task, the one with the lowest meta-objective first."""
    own = evaluations[(evaluations.task == task) & (evaluations.role == "tuned")]
    return list(own.groupby("optimizer").objective_mean.min().sort_values(kind="stable").index)


def _panel(
    canvas: Canvas, data: "pd.DataFrame", shown: list[Style], best: list[str], sizes: list[str]
) -> None:
    """Draw one task; `sizes` are those of all tasks, so that each has its labels everywhere."""
    positive = data.loss_mean[np.isfinite(data.loss_mean) & (data.loss_mean > 0)]
    labels: list[tuple[float, str, str, Tag]] = []
    tuned = data[data.role != "checkpoint"]
    canvas.curves(tuned, "step", "loss_mean", shown, best)
    for line, (drawn,) in zip(canvas.axes.lines, canvas.tags, strict=True):
        if drawn.series in best:
            line.set(marker="", linewidth=1.4)
            labels.append((_last(line.get_ydata()), drawn.series, str(line.get_color()), drawn))
        else:
            line.set_alpha(MUTED_ALPHA)
    learned = OPTIMIZERS[0]
    for size, own in data[data.role == "checkpoint"].groupby("size", sort=False):
        wide = own.pivot_table("loss_mean", "step", "optimizer", aggfunc="first")
        # A mean loss that is not finite is no number in a record; its line leaves the panel.
        wide = wide.fillna(np.inf).clip(float(positive.min()) / 100, BEYOND)
        low, middle, high = wide.min(axis=1), wide.median(axis=1), wide.max(axis=1)
        step = wide.index.astype(float)
        tag = Tag("learned", "", str(size))
        band = canvas.axes.fill_between(
            step, low, high, color=learned.light, alpha=0.25, linewidth=0
        )
        canvas.tag(band, tag)
        (line,) = canvas.axes.plot(step, middle, color=learned.light, linewidth=2.6, zorder=4)
        canvas.tag(line, tag)
        end = min(_last(middle.to_numpy()), MAX_LOSS_SHOWN)
        labels.append((end, "learned", learned.light, tag))
    top = min(canvas.axes.get_ylim()[1], MAX_LOSS_SHOWN)
    canvas.axes.set(yscale="log", ylim=(float(positive.min()) / 3, top))
    canvas.scales()
    _label(canvas, labels, sizes)


def _last(losses: Any) -> float:
    finite = np.asarray(losses, float)
    finite = finite[np.isfinite(finite)]
    return float(finite[-1]) if finite.size else 1.0


def _label(canvas: Canvas, labels: list[tuple[float, str, str, Tag]], sizes: list[str]) -> None:
    """The names at the ends of the curves, moved apart where they would touch."""
    low, high = np.log(canvas.axes.get_ylim())
    baselines = [label for label in labels if not label[3].size]
    for size in sizes or [""]:  # names of baselines make room for the learned optimizer's
        own = sorted(
            [*baselines, *(label for label in labels if size and label[3].size == size)],
            key=lambda label: label[:2],
        )
        heights = [float(np.clip((np.log(y) - low) / (high - low), 0, 1)) for y, *_ in own]
        for i in range(1, len(heights)):
            heights[i] = max(heights[i], heights[i - 1] + LABEL_DISTANCE)
        for height, (_, name, colour, tag) in zip(heights, own, strict=True):
            text = canvas.axes.text(
                1.03,
                height,
                styles.short(name),
                transform=canvas.axes.transAxes,
                va="center",
                fontsize=9,
                color=colour,
                fontweight="bold" if tag.size else "normal",
            )
            canvas.tag(text, Tag(tag.series, "", size))
    canvas.say_absent(set(sizes) - {tag.size for *_, tag in labels})
