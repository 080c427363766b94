"""Learned optimizers against the tuned baselines: the numbers, and the loss curves of each task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.optimizers import BASELINES
from loptbench.reports.page.cells import Cell, drawn_thick, table_of_cells
from loptbench.reports.page.elements import Figure, Table
from loptbench.reports.page.numbers import interval_text, number_text
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import POINTS, Canvas, few, numbers
from loptbench.reports.plots.schematics import schematic
from loptbench.reports.sections.results import or_infinite
from loptbench.results.plain import PlainRecord as Record

HIGHEST = 10.0
"""The top of the loss axis, in first losses."""

Row = dict[str, Any]


def comparisons(records: Sequence[Record]) -> list[Row]:
    """A row for each task, implementation and optimizer, of the evaluation records."""
    rows: list[Row] = []
    for record in records:
        key, result = record.key, record.result
        about = {"task": key["task"], "implementation": key["implementation"], "ratios": {}}
        for label, one in result.get("baselines", {}).items():
            rows.append(about | {"optimizer": label, "look": label, "found": one})
        if "learned" in result:
            label = str(key["optimizer"]).removeprefix("checkpoint ")
            found = {"optimizer": label, "look": "learned", "found": result["learned"]}
            rows.append(about | found | {"ratios": result["ratios"]})
    return rows


def against_best(rows: Sequence[Row]) -> list[Row]:
    """Each learned optimizer beside the best tuned baseline of its task and implementation."""
    found = []
    for row in rows:
        tuned = [
            other
            for other in rows
            if (other["task"], other["implementation"]) == (row["task"], row["implementation"])
            and other["optimizer"] in BASELINES
            and other["found"]["objective_mean"] is not None
        ]
        if row["look"] == "learned" and tuned:
            best = min(tuned, key=lambda other: float(other["found"]["objective_mean"]))
            ratio = row["ratios"].get(best["optimizer"])
            if ratio is not None:
                found.append(row | {"best": best, **ratio})
    return found


def best_table(rows: Sequence[Row], task: str) -> Table | None:
    """The table of `against_best`, for one task."""
    lines: list[list[Any]] = []
    for row in against_best(rows):
        if row["task"] == task:
            better = row["high"] is not None and row["high"] < 1
            worse = row["low"] is not None and row["low"] > 1
            word = "better" if better else "worse" if worse else "open"
            lines.append(
                [
                    row["optimizer"],
                    row["implementation"],
                    row["found"]["n_problems"],
                    row["best"]["optimizer"],
                    row["found"]["objective_mean"],
                    row["best"]["found"]["objective_mean"],
                    row["ratio"],
                    row["low"],
                    row["high"],
                    Cell(word, status={"better": "passed", "open": "inconclusive"}.get(word, "")),
                    or_infinite(row["found"]["final_loss_mean"]),
                    or_infinite(row["best"]["found"]["final_loss_mean"]),
                ]
            )
    if not lines:
        return None
    return table_of_cells(
        f"best-{task}",
        "Each learned optimizer beside the best tuned baseline: mean meta-objective (mean loss of "
        "the run over its first loss) on held-out problems, and the ratio of the two with its "
        "paired 95 % bootstrap interval over problems; below 1 the learned optimizer is better. "
        "It was meta-trained for that, and not for the loss at the end of a run, which stands in "
        "the last columns.",
        [
            "learned optimizer",
            "measured in",
            "problems",
            "best baseline",
            "meta-objective, learned",
            "meta-objective, baseline",
            "ratio",
            "95 % from",
            "95 % to",
            "the learned one is",
            "final loss, learned",
            "final loss, baseline",
        ],
        lines,
    )


def comparison(rows: Sequence[Row], task: str, command: str) -> Figure | None:
    """The paper's first figure on one task: learned against tuned, in every implementation.

    Args:
        rows: those of `comparisons`.
        task: the task.
        command: what makes the figure again.
    """
    rows = [row for row in rows if row["task"] == task]
    if not rows:
        return None
    anchor = f"curves-{task}"
    canvases = []
    thick: list[str] = []
    drawn, left_out = few(rows, lambda row: (row["implementation"], row["look"]))
    losses = np.concatenate([np.array(row["found"]["curve_mean"], float) for row in rows])
    lowest = np.min(losses[np.isfinite(losses) & (losses > 0)], initial=1.0)
    for name in dict.fromkeys(row["implementation"] for row in rows):
        here = {row["look"] for row in rows if row["implementation"] == name}
        canvas = Canvas(name if "learned" in here else f"{name}: baselines only")
        seen: set[str] = set()
        thick += [
            row["optimizer"]
            for row in drawn
            if (row["implementation"], row["look"]) == (name, "learned")
        ][:1]
        for row in drawn:
            if row["implementation"] == name:
                _curve(canvas, row, row["look"] in seen)
                seen.add(row["look"])
        canvas.labels("inner step", "loss / first loss")
        canvas.log("y")
        # What blows up leaves the picture at the top: the rest is what is to be seen.
        top = min(canvas.ax.get_ylim()[1], HIGHEST)
        canvas.ax.set_ylim(bottom=lowest / 3, top=top)
        canvases.append(canvas)
    present = {row["look"] for row in rows}
    said = "; ".join(
        f"{row['optimizer']} in {row['implementation']} "
        f"{number_text(or_infinite(row['found']['objective_mean']))}"
        f" ± {number_text(row['found']['objective_standard_error'])}"
        for row in rows
    )
    learned = "learned" in present
    panels = [
        canvas.panel(f"{anchor}-{i}") for i, canvas in enumerate([schematic(task), *canvases])
    ]
    return Figure(
        anchor,
        "Loss curves: " + ("learned against tuned baselines" if learned else "tuned baselines"),
        f"A schematic of the task, and loss over first loss against inner step on a log scale. "
        f"Mean meta-objectives: {said}.",
        f"Mean over {rows[0]['found']['n_problems']} held-out problems; bands are one standard "
        "error of the mean (the lower one cut at a hundredth of it). Baselines are tuned on other "
        "problems of the task. A curve leaves the picture, at the top, where a run of its "
        "optimizer diverged: the table has medians too. Where runs are unstable, rounding alone "
        "moves a mean, and so implementations differ; what they are held to stands at the top. "
        f"{drawn_thick(thick)}"
        f"Answers to the paper's first figure.{left_out}"
        + ("" if learned else " No learned optimizer for this task was among the checkpoints."),
        panels,
        looks.keys([looks.optimizer(name) for name in sorted(present, key=looks.place)]),
        [_numbers(rows, task), *numbers(anchor, f"Loss over first loss on {task}", canvases)],
        command,
    )


def _curve(canvas: Canvas, row: Row, again: bool) -> None:
    """One curve; `again` if it is a further seed of the same, which is drawn thin and bare."""
    look = looks.optimizer(row["look"])
    mean = np.array(row["found"]["curve_mean"], float)
    k = np.arange(mean.size)
    canvas.line(k, mean, look, row["optimizer"], again)
    if not again:
        error = np.array(row["found"]["curve_standard_error"], float)
        low, some = np.maximum(mean - error, mean / 100), slice(None, None, -(-k.size // POINTS))
        high = mean + error
        canvas.ax.fill_between(
            k[some], low[some], high[some], color=look.light, alpha=0.2, linewidth=0
        )


def _numbers(rows: Sequence[Row], task: str) -> Table:
    """One optimizer a row, and how the first learned one compares with it."""
    lines: list[list[Any]] = []
    for row in rows:
        one: Mapping[str, Any] = row["found"]
        here = [r for r in rows if r["implementation"] == row["implementation"]]
        first = next((r for r in here if r["look"] == "learned"), None)
        ratio = first["ratios"].get(row["optimizer"]) if first is not None else None
        compared = Cell(None)
        if ratio is not None and first is not None:
            said = interval_text(ratio["low"], ratio["high"])
            note = "no interval: a run diverged" if ratio["low"] is None else said
            value = ratio["ratio"] if ratio["low"] is not None else None
            compared = Cell(value, note=f"{note}; of {first['optimizer']}")
        parameters = one.get("hyperparameters", {})
        lines.append(
            [
                row["optimizer"],
                row["implementation"],
                one["n_problems"],
                Cell(one["n_diverged"], status="diverged" if one["n_diverged"] else ""),
                or_infinite(one["objective_mean"]),
                one["objective_standard_error"],
                or_infinite(one["objective_median"]),
                or_infinite(one["final_loss_mean"]),
                or_infinite(one["final_loss_median"]),
                compared,
                ", ".join(f"{name} = {value:.4g}" for name, value in parameters.items()),
            ]
        )
    return table_of_cells(
        f"numbers-{task}",
        "Every optimizer on the held-out problems. The ratio is of the meta-objective of the first "
        "learned optimizer to this one's, with its paired 95 % bootstrap interval.",
        [
            "optimizer",
            "implementation",
            "problems",
            "diverged",
            "mean meta-objective",
            "standard error",
            "median",
            "mean final loss",
            "median final loss",
            "ratio to it",
            "hyperparameters",
        ],
        lines,
    )
