"""The figures that are still drawn from records, until each is drawn from its frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.reports.page.cells import drawn_thick, table_of_cells
from loptbench.reports.page.elements import Figure
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import POINTS, Canvas, few, numbers
from loptbench.reports.plots.schematics import schematic
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS

HIGHEST = 10.0
"""The top of the loss axis, in first losses."""

Row = dict[str, Any]


def or_infinite(value: float | None) -> float:
    """A number of a record; None there was not finite."""
    return float("inf") if value is None else float(value)


def comparisons(records: Sequence[Record]) -> list[Row]:
    """A row for each task, implementation and optimizer, of the evaluation records."""
    rows: list[Row] = []
    for record in records:
        key, result = record.key, record.result
        about = {"task": key["task"], "implementation": key["implementation"], "ratios": {}}
        for label, one in result.get("baselines", {}).items():
            rows.append(about | {"optimizer": label, "look": label, "found": one})
        if "learned" in result:
            label = role_and_name(key)[1]
            found = {"optimizer": label, "look": "learned", "found": result["learned"]}
            rows.append(about | found | {"ratios": result["ratios"]})
    return rows


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
        [*numbers(anchor, f"Loss over first loss on {task}", canvases)],
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


def trained(records: Sequence[Record]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """How each learned optimizer was meta-trained, by task and name, of the evaluation records."""
    found = {
        (str(r.key["task"]), role_and_name(r.key)[1]): r.result["meta_training"]
        for r in records
        if r.result.get("meta_training")
    }
    return dict(sorted(found.items(), key=lambda one: (_place(one[0][0]), one[0][1])))


def _place(task: str) -> int:
    return list(TASKS).index(task) if task in TASKS else len(TASKS)


def meta_training(
    records: Sequence[Record], task: str, names: Sequence[str], command: str
) -> Figure | None:
    """The logs of the learned optimizers of a task.

    Args:
        records: the evaluation records.
        task: the task.
        names: the implementations of the store, which have their colours.
        command: what makes the figure again.
    """
    told = {
        name: one for (on, name), one in trained(records).items() if on == task and one.get("log")
    }
    if not told:
        return None
    canvas = Canvas("validation meta-objective")
    shown = []
    drawn, left_out = few(told.items(), lambda one: one[1]["implementation"])
    for name, one in drawn:
        look = looks.implementation(one["implementation"], names)
        again = look in shown
        shown.append(look)
        steps = [row["step"] for row in one["log"]]
        values = [or_infinite(row["validation"]) for row in one["log"]]
        canvas.line(steps, values, look, name, again)
    canvas.labels("outer step", "meta-objective, validation")
    canvas.log("y")
    said = "; ".join(
        f"{name} {number_text(one['best_validation'])} at step {one['best_outer_step']}"
        for name, one in told.items()
    )
    anchor = f"meta-training-{task}"
    return Figure(
        anchor,
        "Meta-training",
        f"Validation meta-objective against outer step, one line for each seed. Best: {said}.",
        "One line for each meta-training seed, in the colour of what meta-trained it; the first of "
        "each is bold. The mean over validation problems, which are neither those trained on nor "
        "those reported on; the weights at the lowest point of a line are those that are kept. No "
        f"figure of the paper shows this.{left_out}",
        [canvas.panel(f"{anchor}-0")],
        looks.keys(shown),
        numbers(anchor, f"Meta-training on {task}", [canvas]),
        command,
    )


QUANTITIES = ("loss", "parameters", "gradient", "state", "update")
RUNS = ("teacher-forced", "free-running")


def errors_figure(
    records: Sequence[Record], all_names: Sequence[str], optimizer: str, dtype: str, command: str
) -> Figure | None:
    """Observed error against its bound, over the steps of a run."""
    found: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}
    for record in records:
        if role_and_name(record.key)[1] == optimizer and record.key["dtype"] == dtype:
            for check in record.result["checks"]:
                for compared in check["comparisons"]:
                    if "error_by_step" in compared and compared["quantity"] in QUANTITIES:
                        at = (check["check"], compared["quantity"], record.key["implementation"])
                        errors, bounds = (
                            np.array(compared[key], float)
                            for key in ("error_by_step", "bound_by_step")
                        )
                        found.setdefault(at, (errors, bounds))
    if not found:
        return None
    names = sorted({name for _, _, name in found})
    floor = float(np.finfo(dtype).eps) / 100
    canvases: list[Canvas] = []
    lines: list[list[Any]] = []
    for check in RUNS:
        for quantity in QUANTITIES:
            curves = {n: found[check, quantity, n] for n in names if (check, quantity, n) in found}
            if not curves:
                continue
            canvas = Canvas(f"{check}: {quantity}")
            for name, (errors, bounds) in curves.items():
                look = looks.implementation(name, all_names)
                canvas.line(np.arange(errors.size), errors.clip(min=floor), look, name)
                worst = float(np.max(errors / bounds))
                lines.append([check, quantity, name, float(errors.max()), worst])
            limits = np.min([bounds for _, bounds in curves.values()], axis=0)
            canvas.line(np.arange(limits.size), limits, looks.BOUND, "bound")
            canvas.labels("inner step", "scaled error")
            canvas.log("y")
            canvases.append(canvas)
    top = max(lines, key=lambda line: float(line[-1]))
    here = f"errors-{dtype}"
    table = table_of_cells(
        f"{here}-worst",
        "The largest errors, and over their bounds.",
        ["check", "quantity", "implementation", "largest error", "largest error / bound"],
        lines,
        3,
    )
    shown = [looks.implementation(name, all_names) for name in names]
    return Figure(
        here,
        f"{optimizer}, {dtype}",
        f"Scaled error of each implementation against inner step, one panel for each check and "
        f"each of {', '.join(QUANTITIES)}, with a dashed line, the bound. The largest error is "
        f"{number_text(top[4])} of its bound: {top[1]}, {top[0]}, {top[2]}.",
        "Errors are relative to the size of the terms that were added up. Errors of exactly zero "
        f"are drawn at {floor:.0e}. Bounds of free-running grow with the growth of small errors "
        "that the reference itself measures. No figure of the paper shows this.",
        [canvas.panel(f"{here}-{i}") for i, canvas in enumerate(canvases)],
        looks.keys([*shown, looks.BOUND]),
        [table, *numbers(here, "Scaled error", canvases)],
        command,
    )


def role_and_name(key: Mapping[str, Any]) -> tuple[str, str]:
    """The role and the name of an optimizer, of a plain key."""
    label = str(key["optimizer"])
    for role in ("checkpoint", "tuned"):
        if label.startswith(f"{role} "):
            return role, label.removeprefix(f"{role} ")
    return "", label
