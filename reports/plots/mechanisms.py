"""The figure of one probe: rows of panels, a column for each task."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loptbench.reports.page.elements import Figure, Row
from loptbench.reports.plots import styles
from loptbench.reports.plots.canvas import (
    Canvas,
    bold_optimizers,
    first_seeds,
    one_implementation,
    series,
)
from loptbench.reports.plots.styles import Style
from loptbench.reports.plots.svg import Tag, keys
from loptbench.tasks import in_order

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
        bold: the optimizers that are drawn thick, one of each series and size.
        left_out: a sentence on the optimizers that are not drawn; empty if all are.
    """

    task: str
    frames: Frames
    shown: Sequence[Style]
    bold: Sequence[str]
    left_out: str

    @property
    def sizes(self) -> set[str]:
        """The sizes of its learned optimizers."""
        data = next(iter(self.frames.values()))
        return set(data["size"]) - {""}

    def learned(self, frame: str) -> "pd.DataFrame":
        """The rows of learned optimizers."""
        data = self.frames[frame]
        return data[data.role == "checkpoint"]

    def first_learned(
        self, frame: str, rows: "pd.DataFrame | None" = None
    ) -> "list[tuple[Tag, pd.DataFrame]]":
        """The rows of the learned optimizers that are drawn thick, one of each size.

        Args:
            frame: the frame.
            rows: some of its rows; all if None.
        """
        data = self.learned(frame) if rows is None else rows
        data = data[data.optimizer.isin(self.bold)]
        return [
            (Tag("learned", str(name), str(size)), own)
            for (name, size), own in data.groupby(["optimizer", "size"], sort=False)
        ]


@dataclasses.dataclass(frozen=True)
class ProbeFigure:
    """The figure of one probe.

    Attributes:
        name: what its identifier ends in.
        title: its heading.
        frames: the frames that it draws; the first determines which optimizers are shown.
        rows: the heading of each row, which names its axes, and what draws a panel of it.
        alternative: what it shows.
        caption: what to look for.
        numbers: its numbers, from the frames.
        signs: matplotlib artists in the legend besides the optimizers.
    """

    name: str
    title: str
    frames: tuple[str, ...]
    rows: Mapping[str, Callable[[Canvas, Group], None]]
    alternative: str
    caption: str
    numbers: "Callable[[Frames], pd.DataFrame]"
    signs: Callable[[], list[Any]] = list

    def draw(self, frames: Frames, verdicts: str, command: str) -> Figure | None:
        """The figure; None where nothing was measured.

        Args:
            frames: those named in `frames`.
            verdicts: the verdicts in words, for readers who do not see the figure.
            command: the command that makes the figure again.
        """
        data = {
            name: one_implementation(series(frames[name]))
            if "preset" in frames[name]
            else frames[name]
            for name in self.frames
        }
        tasks = in_order(task for frame in data.values() for task in frame.task)
        groups = [group for task in tasks if (group := _group(task, data)) is not None]
        if not groups:
            return None
        anchor = f"figure-{self.name}"
        rows, drawn, absent = [], set(), []
        sizes = {size for group in groups for size in group.sizes}
        for place, (title, draw) in enumerate(self.rows.items()):
            canvases = []
            for group in groups:
                canvas = Canvas(group.task)
                draw(canvas, group)
                canvas.scales()
                if canvas.axes.has_data():
                    canvas.say_absent(sorted(sizes - group.sizes))
                drawn |= {tag.series for tags in canvas.tags for tag in tags}
                canvases.append(canvas if canvas.axes.has_data() else None)
            if any(canvases):  # some rows are of learned optimizers only
                panels = [
                    None if canvas is None else canvas.panel(f"{anchor}-{place}-{i}")
                    for i, canvas in enumerate(canvases)
                ]
                rows.append(Row(title, panels))
            else:
                absent.append(title)
        left_out = "".join(
            f" On {group.task}:{group.left_out}" for group in groups if group.left_out
        )
        missing = f" Not in these records: {'; '.join(absent)}." if absent else ""
        learned = " Thick: the first seed of the chosen size." if "learned" in drawn else ""
        return Figure(
            anchor,
            self.title,
            f"{self.alternative} {verdicts}",
            f"{self.caption}{learned}{left_out}{missing}",
            rows,
            keys(styles.optimizers(drawn - {""}), self.signs()),
            self.numbers(data),
            command,
            [group.task for group in groups],
        )


def _group(task: str, frames: Frames) -> Group | None:
    """The data that the panels of one task draw; None if there are none."""
    own = {name: data[data.task == task] for name, data in frames.items()}
    first, words = first_seeds(next(iter(own.values())))
    if first.empty:
        return None
    own = {
        name: data[data.optimizer.isin(first.optimizer)] if "series" in data else data
        for name, data in own.items()
    }
    return Group(task, own, styles.optimizers(first.series), bold_optimizers(first), words)
