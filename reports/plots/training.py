"""Meta-training: the validation objective over outer steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Figure, Row
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, first_seeds, long, size_of
from loptbench.reports.plots.svg import keys
from loptbench.tasks import in_order

if TYPE_CHECKING:
    import pandas as pd


def meta_training(log: "pd.DataFrame", names: Sequence[str], command: str) -> Figure | None:
    """The validation objective of each learned optimizer over its meta-training, task by task.

    Args:
        log: the frame `meta_training`.
        names: all implementations of the store.
        command: the command that makes the figure again.
    """
    data = log.assign(series=log.implementation, size=size_of(log))
    if data.empty:
        return None
    anchor = "figure-meta-training"
    shown = [styles.implementation(name, names) for name in dict.fromkeys(data.series)]
    canvases, words = [], ""
    for task in in_order(data.task):
        canvas = Canvas(task)
        drawn, left_out = first_seeds(data[data.task == task])
        canvas.curves(drawn, "outer_step", "validation", shown, [])
        canvas.axes.set_yscale("log")
        canvas.scales()
        canvases.append(canvas)
        words += left_out
    # A validation that diverged is infinite, which a record holds as no number.
    ordered = data.sort_values("validation", kind="stable", na_position="last")
    best = ordered.drop_duplicates(["task", "optimizer"]).sort_index()
    ends = "; ".join(
        f"{row.optimizer} {number_text(row.validation)} at step {row.outer_step}"
        for row in best.itertuples()
    )
    panels = [canvas.panel(f"{anchor}-{i}") for i, canvas in enumerate(canvases)]
    return Figure(
        anchor,
        "Meta-training",
        f"Validation meta-objective against outer step, one line for each seed. Best: {ends}.",
        "One line for each seed, in the colour of the framework that meta-trained it. The weights "
        f"at the lowest point of a line are kept. The paper shows no such figure.{words}",
        [Row("Meta-objective on validation problems, against the outer step", panels)],
        keys(shown),
        long(data, "outer_step", "validation"),
        command,
        [canvas.title for canvas in canvases],
    )
