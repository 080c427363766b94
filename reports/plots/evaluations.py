"""Loss curves: learned optimizers beside tuned baselines."""

from typing import TYPE_CHECKING

import numpy as np

from loptbench.reports.page.elements import Figure
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import (
    Canvas,
    bold_optimizers,
    first_seeds,
    legend,
    numbers,
    series,
    thinned,
)
from loptbench.reports.plots.schematics import schematic

if TYPE_CHECKING:
    import pandas as pd

MAX_LOSS_SHOWN = 10.0
"""The top of the loss axis, in first losses; diverging runs leave the panel there."""


def loss_curves(
    curves: "pd.DataFrame", evaluations: "pd.DataFrame", task: str, command: str
) -> Figure | None:
    """The paper's first figure on one task, with a panel for each implementation.

    Args:
        curves: the frame `curves`.
        evaluations: the frame `evaluations`, for the words.
        task: the task.
        command: the command that makes the figure again.
    """
    data = series(curves[curves.task == task])
    if data.empty:
        return None
    anchor = f"curves-{task}"
    shown = styles.optimizers(data.series)
    positive = data.loss_mean[np.isfinite(data.loss_mean) & (data.loss_mean > 0)]
    drawn, left_out = first_seeds(data)
    canvases, tables, bold = [], [], []
    for name, own in drawn.groupby("implementation", sort=False):
        has_learned = (own.role == "checkpoint").any()
        canvas = Canvas(str(name) if has_learned else f"{name}: baselines only")
        thick = bold_optimizers(own)
        bold += own.optimizer[(own.role == "checkpoint") & own.optimizer.isin(thick)].tolist()
        canvas.curves(own, "step", "loss_mean", shown, thick)
        for style in shown:
            band = thinned(own[(own.series == style.name) & own.optimizer.isin(thick)], "step")
            low = np.maximum(band.loss_mean - band.loss_standard_error, band.loss_mean / 100)
            high = band.loss_mean + band.loss_standard_error
            step = band.step.astype(float)
            canvas.axes.fill_between(step, low, high, color=style.light, alpha=0.2, linewidth=0)
        canvas.labels("inner step", "loss / first loss")
        canvas.axes.set_yscale("log")
        canvas.axes.set_ylim(
            float(positive.min()) / 3, min(canvas.axes.get_ylim()[1], MAX_LOSS_SHOWN)
        )
        canvases.append(canvas)
        caption = f"Loss over first loss on {task}, in {name}"
        tables.append(
            numbers(
                f"{anchor}-{name}", caption, data[data.implementation == name], "step", "loss_mean"
            )
        )
    own = evaluations[evaluations.task == task]
    objectives = "; ".join(
        f"{row.optimizer} in {row.implementation} {number_text(row.objective_mean)}"
        f" ± {number_text(row.objective_standard_error)}"
        for row in own.itertuples()
    )
    learned = "learned" in {style.name for style in shown}
    return Figure(
        anchor,
        "Loss curves: " + ("learned against tuned baselines" if learned else "tuned baselines"),
        "A sketch of the task, and loss over first loss against inner step on a log scale. "
        f"Mean meta-objectives: {objectives}.",
        f"Mean over {data.n_problems.max()} held-out problems; bands are one standard error of the "
        "mean. Baselines are tuned on other problems of the task. A curve leaves the panel at the "
        f"top, or ends, where a run of its optimizer diverged. "
        f"{thick_words(bold)}Compare the paper's first figure.{left_out}"
        + ("" if learned else " No learned optimizer for this task was among the checkpoints."),
        [c.panel(f"{anchor}-{i}") for i, c in enumerate([schematic(task), *canvases])],
        legend(shown, f"{anchor}-legend"),
        tables,
        command,
    )


def thick_words(names: list[str]) -> str:
    """The sentence on which learned optimizers are drawn thick; empty if none is.

    >>> thick_words(["a"])
    'Of the learned optimizers, a is drawn thick, others thin. '
    """
    if not names:
        return ""
    unique = list(dict.fromkeys(names))
    verb = "is" if len(unique) == 1 else "are"
    return f"Of the learned optimizers, {', '.join(unique)} {verb} drawn thick, others thin. "
