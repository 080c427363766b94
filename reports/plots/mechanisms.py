"""The figure of one probe: rows of panels, learned optimizers beside tuned ones on each task."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loptbench.reports.page.elements import Figure, Table
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import (
    Canvas,
    bold_optimizers,
    first_seeds,
    legend,
    one_implementation,
    series,
)
from loptbench.reports.plots.evaluations import thick_words
from loptbench.reports.plots.styles import Style
from loptbench.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

Frames = Mapping[str, "pd.DataFrame"]


@dataclasses.dataclass(frozen=True)
class Group:
    """What the panels of one task draw.

    Attributes:
        task: the task.
        frames: the frames of the figure, with the rows of this task and the column `series`.
        shown: the styles of the series.
        bold: the optimizers that are drawn thick, one of each series.
        left_out: a sentence on the optimizers that are not drawn; empty if all are.
    """

    task: str
    frames: Frames
    shown: Sequence[Style]
    bold: Sequence[str]
    left_out: str

    def learned(self, frame: str) -> "pd.DataFrame":
        """The rows of learned optimizers."""
        data = self.frames[frame]
        return data[data.role == "checkpoint"]


@dataclasses.dataclass(frozen=True)
class ProbeFigure:
    """The figure of one probe.

    Attributes:
        probe: the probe, whose name the figure has.
        title: its heading.
        frames: the frames that it draws; the first determines which optimizers are shown.
        panels: the heading of each panel of a task, and what draws it.
        alternative: what it shows.
        caption: what to look for.
        tables: makes its tables from all rows.
        signs: matplotlib artists in the legend besides the optimizers.
    """

    probe: str
    title: str
    frames: tuple[str, ...]
    panels: Mapping[str, Callable[[Canvas, Group], None]]
    alternative: str
    caption: str
    tables: Callable[[str, Frames], list[Table]]
    signs: Callable[[], list[Any]] = list

    def draw(self, frames: Frames, verdicts: str, command: str) -> Figure | None:
        """The figure; None where nothing was measured.

        Args:
            frames: those named in `frames`.
            verdicts: the verdicts in words, for readers who do not see the figure.
            command: the command that makes the figure again.
        """
        data = {name: one_implementation(series(frames[name])) for name in self.frames}
        groups = [group for task in TASKS if (group := _group(task, data)) is not None]
        if not groups:
            return None
        anchor = f"figure-{self.probe}"
        canvases = []
        for title, draw in self.panels.items():  # the same panel of every task stands in one row
            for group in groups:
                canvas = Canvas(f"{group.task}: {title}")
                draw(canvas, group)
                if canvas.axes.has_data():  # some panels are of learned optimizers only
                    canvases.append(canvas)
        bold = {name for group in groups for name in group.bold}
        learned = data[self.frames[0]]
        learned = learned[learned.role == "checkpoint"]
        thick = [name for name in dict.fromkeys(learned.optimizer) if name in bold]
        left_out = "".join(
            f" On {group.task}:{group.left_out}" for group in groups if group.left_out
        )
        names = {style.name for group in groups for style in group.shown}
        return Figure(
            anchor,
            self.title,
            f"{self.alternative} {verdicts}",
            f"{self.caption} {thick_words(thick)}Baselines are the tuned ones. The control is "
            "momentum with β = 0.9. Where an optimizer is missing, the table of convergence "
            f"points says why.{left_out}",
            [canvas.panel(f"{anchor}-{i}") for i, canvas in enumerate(canvases)],
            legend(styles.optimizers(names), f"{anchor}-legend", self.signs()),
            self.tables(anchor, data),
            command,
        )


def _group(task: str, frames: Frames) -> Group | None:
    """The data that the panels of one task draw; None if there are none."""
    own = {name: data[data.task == task] for name, data in frames.items()}
    first, words = first_seeds(next(iter(own.values())))
    if first.empty:
        return None
    own = {name: data[data.optimizer.isin(first.optimizer)] for name, data in own.items()}
    return Group(task, own, styles.optimizers(first.series), bold_optimizers(first), words)
