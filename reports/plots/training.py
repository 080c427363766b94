"""Meta-training: the validation objective over outer steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Figure
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, bold_optimizers, first_seeds, legend, numbers

if TYPE_CHECKING:
    import pandas as pd


def meta_training(
    log: "pd.DataFrame", task: str, names: Sequence[str], command: str
) -> Figure | None:
    """The validation objective of each learned optimizer of a task over its meta-training.

    Args:
        log: the frame `meta_training`.
        task: the task.
        names: all implementations of the store.
        command: the command that makes the figure again.
    """
    data = log[log.task == task]
    data = data.assign(series=data.implementation)
    if data.empty:
        return None
    anchor = f"meta-training-{task}"
    shown = [styles.implementation(name, names) for name in dict.fromkeys(data.series)]
    canvas = Canvas("validation meta-objective")
    drawn, left_out = first_seeds(data)
    canvas.curves(drawn, "outer_step", "validation", shown, bold_optimizers(data))
    canvas.labels("outer step", "meta-objective, validation")
    canvas.axes.set_yscale("log")
    best = data.loc[data.groupby("optimizer", sort=False).validation.idxmin()]
    words = "; ".join(
        f"{row.optimizer} {number_text(row.validation)} at step {row.outer_step}"
        for row in best.itertuples()
    )
    return Figure(
        anchor,
        "Meta-training",
        f"Validation meta-objective against outer step, one line for each seed. Best: {words}.",
        "One line for each meta-training seed, in the colour of the framework that meta-trained "
        "it; the first of each is thick. Mean over validation problems, which are used for nothing "
        "else. The weights at the lowest point of a line are kept. The paper shows no such "
        f"figure.{left_out}",
        [canvas.panel(f"{anchor}-0")],
        legend(shown, f"{anchor}-legend"),
        [numbers(anchor, f"Meta-training on {task}", data, "outer_step", "validation")],
        command,
    )
