"""Agreement: the error of each implementation beside its bound, step by step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from loptbench.reports.page.elements import Figure, Table
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import Canvas, legend, numbers

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = ("loss", "parameters", "gradient", "state", "update")
CHECKS = ("teacher-forced", "free-running")


def errors_by_step(
    check_steps: "pd.DataFrame", optimizer: str, dtype: str, names: Sequence[str], command: str
) -> Figure | None:
    """The scaled error of each implementation against its bound, over the steps of a run.

    Args:
        check_steps: the frame `check_steps`.
        optimizer: the optimizer whose runs are shown.
        dtype: the dtype of the runs.
        names: all implementations of the store.
        command: the command that makes the figure again.
    """
    data = check_steps[(check_steps.optimizer == optimizer) & (check_steps.dtype == dtype)]
    data = data[data.quantity.isin(QUANTITIES) & data.check.isin(CHECKS)]
    if data.empty:
        return None
    floor = float(np.finfo(dtype).eps) / 100
    shown = [styles.implementation(name, names) for name in sorted(set(data.implementation))]
    anchor = f"errors-{dtype}"
    canvases, tables = [], []
    for check in CHECKS:
        for quantity in QUANTITIES:
            own = data[(data.check == check) & (data.quantity == quantity)]
            if own.empty:
                continue
            canvas = Canvas(f"{check}: {quantity}")
            errors = own.assign(
                series=own.implementation, optimizer=own.implementation, error=own.error.clip(floor)
            )
            bounds = own.groupby("step", as_index=False).bound.min()
            bounds = bounds.assign(series="bound", optimizer="bound")
            canvas.curves(errors, "step", "error", shown, sorted(set(errors.optimizer)))
            canvas.curves(bounds, "step", "bound", [styles.BOUND], ["bound"])
            canvas.axes.set_yscale("log")
            canvas.labels("inner step", "scaled error")
            canvases.append(canvas)
            caption = f"Scaled error, {check}, {quantity}, {dtype}"
            tables.append(numbers(f"{anchor}-{check}-{quantity}", caption, errors, "step", "error"))
    worst = data.assign(ratio=data.error / data.bound)
    worst = worst.groupby(["check", "quantity", "implementation"], as_index=False).agg(
        {"error": "max", "ratio": "max"}
    )
    top = worst.loc[worst.ratio.idxmax()]
    headings = {"error": "largest error", "ratio": "largest error / bound"}
    caption = "The largest error of each run, and the largest error over its bound."
    return Figure(
        anchor,
        f"{optimizer}, {dtype}",
        "Scaled error of each implementation against inner step, one panel for each check and each "
        f"of {', '.join(QUANTITIES)}, with the bound as a dashed line. The largest error is "
        f"{number_text(float(top.ratio))} of its bound: {top.quantity}, {top.check}, "
        f"{top.implementation}.",
        "Errors are relative to the size of the terms that were added up. Errors of exactly zero "
        f"are drawn at {floor:.0e}. The bound of a free run grows as the reference amplifies small "
        "errors. The paper shows no such figure.",
        [canvas.panel(f"{anchor}-{i}") for i, canvas in enumerate(canvases)],
        legend([*shown, styles.BOUND], f"{anchor}-legend"),
        [Table(f"{anchor}-worst", caption, worst, 3, headings=headings), *tables],
        command,
    )
