"""Agreement: the largest error of each implementation over its tolerance."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns

from loptbench.reports.page.elements import Figure, Panel, Row
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots.canvas import Canvas
from loptbench.reports.plots.styles import CELLS, INK, PAPER
from loptbench.reports.sections.agreement import level_text
from loptbench.tasks import in_order

if TYPE_CHECKING:
    import pandas as pd

DECADES = 4
"""Decades below the tolerance that colours tell apart."""
WIDTH, ROW_HEIGHT, HEAD = 3.7, 0.24, 0.34
"""In inches: width of a map, height of a row, and of the names under it."""


def agreement_map(checks: "pd.DataFrame", command: str) -> Figure | None:
    """A heat map for each implementation: log10 of the largest error over its tolerance.

    Args:
        checks: the frame `checks`.
        command: the command that makes the figure again.
    """
    data = checks[checks.ratio.notna()]
    if data.empty:
        return None
    worst = data.groupby(["implementation", "level", "task"], as_index=False).ratio.max()
    tasks = in_order(worst.task)
    panels: list[Panel | None] = []
    for place, (implementation, own) in enumerate(worst.groupby("implementation")):
        wide = own.pivot(index="level", columns="task", values="ratio").reindex(columns=tasks)
        wide.index = [level_text(level) for level in wide.index]
        panels.append(_map(str(implementation), wide).panel(f"agreement-{place}"))
    top = worst.loc[worst.ratio.idxmax()]
    return Figure(
        "figure-agreement",
        "Largest error over its tolerance",
        "For each implementation a heat map, levels of checks by tasks, of log10 of the largest "
        "error over its tolerance, over all optimizers and dtypes. The largest is "
        f"{number_text(top.ratio)}: level {level_text(top.level)} of {top.implementation} on "
        f"{top.task}.",
        "log10 of the largest error over its tolerance: −1 is a tenth of it, above 0 fails. −∞ is "
        "no error at all, ∞ a number that is not finite; an empty cell was not compared. The paper "
        "shows no such figure.",
        [Row("Levels of checks by tasks, one map for each implementation", panels)],
        [],
        worst,
        command,
    )


def _map(title: str, ratios: "pd.DataFrame") -> Canvas:
    """The heat map of one implementation."""
    height = ROW_HEIGHT * len(ratios) + HEAD + 0.08
    canvas = Canvas(title, height, (0.36, 0.99), HEAD, WIDTH)
    with np.errstate(divide="ignore"):
        logs = np.log10(ratios.astype(float))
    words = logs.map(lambda value: "" if value != value else f"{value:.1f}".replace("-", "−"))
    words = words.replace({"−inf": "−∞", "inf": "∞"})
    sns.heatmap(
        logs.clip(-DECADES, 1),
        vmin=-DECADES,
        vmax=1,
        cmap=[style.light for style in CELLS],
        annot=words,
        fmt="",
        annot_kws={"fontsize": 9, "color": INK},
        linewidths=1,
        linecolor=PAPER,
        cbar=False,
        ax=canvas.axes,
    )
    canvas.axes.set(xlabel="", ylabel="")
    canvas.axes.set_xticklabels(
        [name.replace("_", "\n") for name in ratios.columns], rotation=0, fontsize=8
    )
    canvas.axes.tick_params(axis="y", labelrotation=0, labelsize=9)
    return canvas
