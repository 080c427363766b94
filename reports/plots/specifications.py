"""The specification curve: what every reading of a claim says, beside the one that is judged."""

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from loptbench.reports.page.elements import Figure, Panel, Row
from loptbench.reports.plots.canvas import Canvas
from loptbench.reports.plots.styles import INK, LINE, NO_PRESET, OUTCOMES, PAPER, Style
from loptbench.reports.plots.svg import Tag, keys
from loptbench.results.schema.verdicts import EvidenceKind

if TYPE_CHECKING:
    import pandas as pd

SIDE = 0.04
"""The margin on both sides of a panel, as a fraction of its width."""
HEADER, TEXT_LINE, ROW, FOOTER = 0.4, 0.145, 0.26, 0.24
"""Heights in inches: the names of the tasks, a line of text, the marks of a reading, the axis."""
FONT_SIZE = 8
LINE_LENGTH = 38
"""Characters of a reading on one line."""
REACH = 0.4
"""How far marks may lie from the threshold, as a fraction of the distance between tasks."""
EXPLORATORY_ALPHA = 0.35
"""Opacity of exploratory marks beside confirmatory ones."""
COLUMNS = ["claim", "task", "preset", "kind", "reading", "threshold", "outcome", "value", "low"]
COLUMNS += ["high", "agrees"]
"""The columns of the numbers that the figure lets save."""
BESIDE = 0.09
"""How far exploratory marks lie below confirmatory ones, in inches."""


def distance(value: float, at_least: float, at_most: float) -> float:
    """The distance of a value from its threshold: 0 at it, positive where the claim holds.

    It is relative to the threshold's size; to half the width of a range with two ends; in the
    value's own unit where the threshold is 0.

    Args:
        value: the value.
        at_least: the lower threshold; NaN if there is none.
        at_most: the upper threshold; NaN if there is none.

    >>> nan = float("nan")
    >>> distance(0.45, nan, 0.9), distance(1.5, 1.0, nan), distance(25.0, 10.0, 50.0)
    (0.5, 0.5, 0.75)
    """
    if np.isnan(at_least):
        return (at_most - value) / (abs(at_most) or 1.0)
    if np.isnan(at_most):
        return (value - at_least) / (abs(at_least) or 1.0)
    half = (at_most - at_least) / 2 or 1.0
    return min(value - at_least, at_most - value) / half


def interval_distances(row: Any) -> tuple[float, float]:
    """The least and the greatest distance of an interval from its threshold.

    Args:
        row: `value`, `low`, `high`, `at_least` and `at_most`.
    """
    ends = [distance(end, row.at_least, row.at_most) for end in (row.low, row.value, row.high)]
    middle = (row.at_least + row.at_most) / 2  # NaN if there is one threshold
    if row.low < middle < row.high:
        ends.append(1.0)
    return min(ends), max(ends)


def specification_curve(anchor: str, readings: "pd.DataFrame", command: str) -> Figure | None:
    """What every reading of some claims says; None where no claim has more than one reading.

    Args:
        anchor: the section's.
        readings: rows of the frame `specifications`, of one verdict for each kind, claim, task and
            size, with the verdict's `robustness`.
        command: the command that makes the figure again.
    """
    panels: list[Panel | None] = []
    words: list[str] = []
    outcomes: set[str] = set()
    both_kinds = readings.kind.nunique() > 1
    for _, own in readings.groupby("claim", sort=False):
        if own.reading.nunique() > 1:
            title = own.title.iloc[0]
            panels.append(_panel(title, own).panel(f"readings-{anchor}-{len(panels)}"))
            outcomes |= set(own.outcome)
            words += [
                f"{title}, {task}, {preset or NO_PRESET}, {kind}: {_agreement(rows)}"
                for (task, preset, kind), rows in own.groupby(
                    ["task", "preset", "kind"], sort=False
                )
            ]
    if not panels:
        return None
    name = f"readings-{anchor}"
    shown = [style for style in OUTCOMES if style.name in outcomes]
    return Figure(
        name,
        "Does the verdict depend on the reading?",
        "For each claim, its readings from top to bottom, the one that is judged first, and for "
        "each task a mark for what the reading says, to the right of its threshold where the claim "
        f"holds. {'; '.join(words)}.",
        "Under each task: how many of the other readings agree. Shaded: the primary reading, on "
        "which the verdict rests; the others say the same "
        "sentence with another statistic. A mark is the mean over seeds, its bar the 95 % "
        "interval, the line the threshold. Distances are relative to it, and end at its own size. "
        "The paper shows no such figure.",
        [Row("", panels)],
        keys([], _signs(shown, both_kinds)),
        readings[COLUMNS],
        command,
    )


def _agreement(rows: "pd.DataFrame") -> str:
    """The verdict, and how many alternatives agree, in words."""
    outcome = rows.outcome[rows.is_primary.astype(bool)]
    verdict = f"{outcome.iloc[0]}, " if len(outcome) else ""
    return f"{verdict}{_count(rows)} agree"


def _count(rows: "pd.DataFrame") -> str:
    """How many alternatives agree with the primary reading, if that one decides something."""
    others = rows[~rows.is_primary.astype(bool)]
    if rows.robustness.isna().all():
        return "–"
    return f"{int(others.agrees.astype(bool).sum())}/{len(others)}"


def _panel(title: str, readings: "pd.DataFrame") -> Canvas:
    """The panel of one claim: a row for each reading, a column for each task."""
    tasks = list(dict.fromkeys(readings.task))
    labels = _labels(readings)
    lines = [text.count("\n") + 1 for text in labels.values()]
    height = HEADER + sum(TEXT_LINE * n + ROW for n in lines) + FOOTER
    canvas = Canvas(title, height)
    axes = canvas.axes
    axes.set_position((SIDE, 0.0, 1 - 2 * SIDE, 1.0))
    axes.set(xlim=(-0.5, len(tasks) - 0.5), ylim=(height, 0))
    axes.axis("off")
    _header(canvas, tasks, readings)
    top = HEADER
    for (reading, text), n_lines in zip(labels.items(), lines, strict=True):
        rows = readings[readings.reading == reading]
        bottom = top + TEXT_LINE * n_lines + ROW
        is_primary = bool(rows.is_primary.astype(bool).any())
        if is_primary:
            axes.axhspan(top, bottom, color=LINE, alpha=0.6, linewidth=0)
        axes.text(
            -0.5 + 0.02 * len(tasks),
            top + 0.03,
            text,
            va="top",
            fontsize=FONT_SIZE,
            color=INK,
            fontweight="bold" if is_primary else "normal",
            linespacing=1.1,
        )
        for column, task in enumerate(tasks):
            own = rows[rows.task == task]
            if np.isfinite(own.value).any():
                ends = bottom - 0.85 * ROW, bottom - 0.05 * ROW
                axes.plot([column] * 2, ends, color=INK, linewidth=0.7)
            _marks(canvas, own, column, bottom - 0.55 * ROW)
        top = bottom
    middle = len(tasks) / 2 - 0.5
    axes.text(
        middle,
        top + FOOTER / 2,
        "← does not hold   |   threshold   |   holds →",
        ha="center",
        va="center",
        fontsize=FONT_SIZE,
        color=INK,
    )
    return canvas


def _labels(readings: "pd.DataFrame") -> dict[str, str]:
    """The text of each reading, with its threshold, on lines that fit; the primary one first."""
    rows = readings.drop_duplicates("reading")
    rows = rows.sort_values("is_primary", ascending=False, kind="stable")
    width = LINE_LENGTH
    return {
        row.reading: textwrap.fill(_whole(f"{row.reading}: {row.threshold}"), width)
        for row in rows.itertuples()
    }


def _whole(text: str) -> str:
    """The text with spaces that do not break before units, and with minus signs."""
    text = text.replace(" T ", "\u00a0T ").replace(" %", "\u00a0%")
    return re.sub(r"(?<= )-(?=\d)", "−", text)


def _header(canvas: Canvas, tasks: Sequence[str], readings: "pd.DataFrame") -> None:
    """The names of the tasks, and how many readings agree with the primary one."""
    for column, task in enumerate(tasks):
        options: dict[str, Any] = {"ha": "center", "fontsize": FONT_SIZE, "color": INK}
        canvas.axes.text(column, 0.16, task.replace("_", " "), **options)
        own = readings[readings.task == task]
        for preset, rows in own.groupby("preset"):
            count = canvas.axes.text(column, HEADER - 0.06, _count(_foremost(rows)), **options)
            canvas.tag(count, Tag(size=str(preset) or NO_PRESET))


def _foremost(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The confirmatory readings; the exploratory ones if there are none."""
    confirmatory = rows[rows.kind == EvidenceKind.CONFIRMATORY]
    return rows if confirmatory.empty else confirmatory


def _marks(canvas: Canvas, rows: "pd.DataFrame", column: int, height: float) -> None:
    """The mark of one reading on one task; exploratory ones are faint beside confirmatory ones."""
    kinds = set(rows.kind)
    for row in rows.itertuples():
        is_faint = row.kind == EvidenceKind.EXPLORATORY and len(kinds) > 1
        y = height + (BESIDE if is_faint else 0.0)
        alpha = EXPLORATORY_ALPHA if is_faint else 1.0
        style = next(style for style in OUTCOMES if style.name == row.outcome)
        tag = Tag(size=row.preset or NO_PRESET)
        if not np.isfinite(row.value):
            words: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": FONT_SIZE,
                "color": INK,
            }
            canvas.tag(canvas.axes.text(column, y, "no number", **words), tag)
            continue
        if np.isfinite(row.low) and np.isfinite(row.high):
            ends = np.clip(interval_distances(row), -1, 1)
            (bar,) = canvas.axes.plot(
                column + REACH * ends, [y, y], color=style.light, linewidth=1.4, alpha=alpha
            )
            canvas.tag(bar, tag)
        place = float(np.clip(distance(row.value, row.at_least, row.at_most), -1, 1))
        (mark,) = canvas.axes.plot(column + REACH * place, y, alpha=alpha, **_marker(style))
        canvas.tag(mark, tag)


def _marker(style: Style) -> dict[str, Any]:
    """The marker of an outcome; hollow where nothing is decided."""
    is_open = style == OUTCOMES[-1]
    return {
        "linestyle": "",
        "marker": style.marker,
        "markersize": 5,
        "markerfacecolor": PAPER if is_open else style.light,
        "markeredgecolor": style.light,
        "markeredgewidth": 1.2,
    }


def _signs(shown: Sequence[Style], both_kinds: bool) -> list[Any]:
    signs = [Line2D([], [], label=style.name, **_marker(style)) for style in shown]
    if both_kinds:
        marker = {**_marker(OUTCOMES[0]), "alpha": EXPLORATORY_ALPHA}
        signs.append(Line2D([], [], label="faint: exploratory", **marker))
    return signs
