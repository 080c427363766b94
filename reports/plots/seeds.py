"""The figure of every seed's statistic beside what is claimed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.claims.catalogue import Claim
from loptbench.claims.statistics import STATISTICS
from loptbench.reports.page.elements import Figure, Key, Panel, Table
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import LINE, PAPER, Canvas
from loptbench.results.schema.verdicts import Scope

MadeBy = Mapping[str, tuple[str, str]]
"""Of each learned optimizer its preset, and what meta-trained it."""
SIGNS = (
    looks.drawn(
        "mean over seeds, 95 % interval",
        '<path d="M2 6H26M2 3V9M14 3V9M26 3V9" fill="none" stroke="currentColor" '
        'stroke-width="1.8"/>',
    ),
    looks.drawn(
        "where the claim says",
        f'<path d="M0 0H28V12H0Z" style="fill: var(--line, {LINE})"/>',
    ),
)


def strips(
    anchor: str,
    own: Sequence[Claim],
    verdicts: Sequence[Any],
    made_by: MadeBy,
    words: str,
    tables: Sequence[Table],
    command: str,
) -> Figure | None:
    """Every seed's statistic, and their mean with its interval, beside what is claimed."""
    panels: list[Panel] = []
    shown: list[tuple[looks.Look, bool]] = []
    for claim in own:
        of_claim = [v for v in verdicts if v.claim == claim.name]
        tasks = [task for task in claim.tasks if any(v.task == task for v in of_claim)]
        if not tasks:
            continue
        canvas = Canvas(claim.title, 0.75 + 0.32 * len(tasks))
        for place, task in enumerate(tasks):
            of_task = [v for v in of_claim if v.task == task]
            shown += _strip(canvas, of_task, place, made_by)
        _finish_strip(canvas, claim, tasks)
        panels.append(canvas.panel(f"seeds-{anchor}-{len(panels)}"))
    if not panels:
        return None
    return Figure(
        f"seeds-{anchor}",
        "Every seed beside what is claimed",
        "For each claim and task, the statistic of each seed as a point, and the mean over seeds "
        "with its 95 % interval as a bar; where the claim says is shaded. "
        f"{words}.",
        "Each point is one meta-training seed. The bar counts the errors of seeds and of problems, "
        "so it can be wider than the points lie apart. An arrow at an edge stands for a number "
        "beyond it; the table has it. No figure of the paper shows this.",
        panels,
        [*_keys(shown), *SIGNS],
        tables,
        command,
    )


def _keys(shown: Sequence[tuple[looks.Look, bool]]) -> list[Key]:
    """The legend of the points, each look and filling once."""
    once = sorted(set(shown), key=lambda one: (one[0].name, one[1]))
    return [
        looks.key(look, f"{look.name}, another preset" if hollow else look.name, hollow)
        for look, hollow in once
    ]


def _strip(
    canvas: Canvas, verdicts: Sequence[Any], place: int, made_by: MadeBy
) -> list[tuple[looks.Look, bool]]:
    """One task; returns which looks are in it, and whether filled or hollow."""
    single = [v for v in verdicts if v.scope == Scope.CHECKPOINT and v.value == v.value]
    overall = [v for v in verdicts if v.scope == Scope.ALL_SEEDS]
    usual = max(overall, key=lambda v: v.n_seeds).preset if overall else ""
    frameworks = sorted({framework for _, framework in made_by.values()})
    found: dict[tuple[looks.Look, bool], list[tuple[float, float]]] = {}
    for i, verdict in enumerate(single):
        # A point for each seed, a little above and below each other so that all are seen.
        up = 0.3 * (i / (len(single) - 1) - 0.5) if len(single) > 1 else 0.0
        of_preset, framework = made_by.get(verdict.checkpoint, (usual, "unknown"))
        look = looks.implementation(framework, frameworks)
        at = (float(verdict.value or 0.0), place + 0.1 + up)
        found.setdefault((look, of_preset != usual), []).append(at)
    for (look, hollow), points in found.items():
        x, y = zip(*points, strict=True)
        style: Any = {"linestyle": "", "markersize": 3.5, "clip_on": False}
        if hollow:
            style |= {"markerfacecolor": PAPER, "markersize": 4.5}
        canvas.ax.plot(x, y, color=look.light, marker=look.marker, **style)
    for v in overall:
        if v.low == v.low and v.value == v.value:
            style = {"color": looks.BOUND.light, "marker": "|", "markersize": 5, "linewidth": 1.8}
            x_of_bar = np.array([v.low, v.value, v.high], float)
            canvas.ax.plot(x_of_bar, [place - 0.28] * 3, **style)
    return list(found)


def _finish_strip(canvas: Canvas, claim: Claim, tasks: Sequence[str]) -> None:
    ax = canvas.ax
    values = np.concatenate([np.asarray(line.get_xdata(), float) for line in ax.lines])
    finite = values[np.isfinite(values)]
    ends = [x for x in (claim.at_least, claim.at_most) if x is not None]
    # Where most of the points are, and the threshold; what lies far beyond stands at the edge.
    some = np.quantile(finite, [0.15, 0.85]) if finite.size else np.array(ends)
    reach = 2 * (some[1] - some[0]) + 0.1 * max(abs(x) for x in (*ends, *some))
    low = max(min([*finite, *ends]), min([*some, *ends]) - reach)
    high = min(max([*finite, *ends]), max([*some, *ends]) + reach)
    margin = 0.06 * (high - low or 1)
    low, high = low - margin, high + margin
    ax.set_xlim(low, high)
    for line in list(ax.lines):
        x, y = (np.asarray(one, float) for one in (line.get_xdata(), line.get_ydata()))
        line.set_xdata(np.clip(x, low, high))
        for beyond, edge, marker in ((x < low, low, "<"), (x > high, high, ">")):
            if beyond.any():
                style: Any = {"linestyle": "", "marker": marker, "clip_on": False, "markersize": 7}
                ax.plot(np.full(beyond.sum(), edge), y[beyond], color=line.get_color(), **style)
    ax.axvspan(
        max(low, claim.at_least) if claim.at_least is not None else low,
        min(high, claim.at_most) if claim.at_most is not None else high,
        color=LINE,
        alpha=0.6,
        linewidth=0,
        zorder=0,
    )
    canvas.ticks("y", range(len(tasks)), tasks)
    ax.set_ylim(len(tasks) - 0.5, -0.5)
    canvas.labels(STATISTICS[claim.statistic].words, "")
