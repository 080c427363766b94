"""The comparison on each task: its schematic, the loss curves, and the numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from loptbench.records import Record
from loptbench.reports.figures import Look, Picture, drawing
from loptbench.reports.results import or_infinite, spelled
from loptbench.tasks import get_task

LABELS = ("learned", "sgd", "momentum", "nesterov", "rmsprop", "adam", "theoretical momentum")
LOOK = Look(LABELS)
WIDTH = 3.4
HIGHEST = 10.0
"""The top of the loss axis, in first losses."""


def comparisons(records: list[Record]) -> list[dict[str, Any]]:
    """A row for each task, implementation and optimizer, of the evaluation records."""
    rows: list[dict[str, Any]] = []
    for record in records:
        key, result = record.key, record.result
        for label, one in result.get("baselines", {}).items():
            rows.append(_row(key["task"], key["implementation"], label, label, one))
        if "learned" in result:
            label = str(key["optimizer"])
            rows.append(
                _row(key["task"], key["implementation"], label, "learned", result["learned"])
                | {"ratios": result["ratios"]}
            )
    return rows


def _row(task: str, implementation: str, label: str, look: str, one: Any) -> dict[str, Any]:
    return {
        "task": task,
        "implementation": implementation,
        "optimizer": label,
        "look": look,
        "found": one,
        "ratios": {},
    }


def numbers(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table: one optimizer a row, and how each learned one compares with it."""
    told = []
    for row in rows:
        one = row["found"]
        line: dict[str, Any] = {
            "implementation": row["implementation"],
            "optimizer": row["optimizer"],
            "problems": one["n_problems"],
            "diverged": one["n_diverged"],
            "meta_objective": or_infinite(one["objective_mean"]),
            "standard_error": one["objective_standard_error"],
            "median": or_infinite(one["objective_median"]),
            "mean_final_loss": or_infinite(one["final_loss_mean"]),
            "median_final_loss": or_infinite(one["final_loss_median"]),
            "hyperparameters": ", ".join(
                f"{name} = {value:.4g}" for name, value in one.get("hyperparameters", {}).items()
            ),
        }
        here = [r for r in rows if r["implementation"] == row["implementation"]]
        first = next((r for r in here if r["look"] == "learned"), None)
        ratio = first["ratios"].get(row["optimizer"]) if first is not None else None
        if first is not None and ratio is not None:
            said = f"{spelled(ratio['ratio'])} [{spelled(ratio['low'])}, {spelled(ratio['high'])}]"
            if ratio["low"] is None:
                said = "no interval: a run diverged"
            line[f"ratio of {first['optimizer']} to it"] = said
        told.append(line)
    return pd.DataFrame(told).astype(object).fillna("")


def comparison(records: list[Record], task: str) -> Picture | None:
    """The paper's first figure on one task: learned against tuned, in every implementation."""
    rows = [row for row in comparisons(records) if row["task"] == task]
    if not rows:
        return None
    names = list(dict.fromkeys(row["implementation"] for row in rows))
    present = {row["look"] for row in rows}
    anchor = f"compare-{task}"
    with drawing(anchor, WIDTH * (1 + len(names)), 3.6) as (figure, svg):
        axes = figure.subplots(1, 1 + len(names))
        SCHEMATICS[task](axes[0])
        axes[0].set_title(f"{task}", fontsize=10)
        for ax, name in zip(axes[1:], names, strict=True):
            ax.sharey(axes[1])
            here = [row for row in rows if row["implementation"] == name]
            for i, row in enumerate(here):
                again = row["look"] in {earlier["look"] for earlier in here[:i]}
                _curve(ax, row["look"], row["found"], again)
            ax.set_yscale("log")
            ax.set_title(name, fontsize=10)
            ax.set_xlabel("inner step")
        # What blows up leaves the picture at the top: the rest is what is to be seen.
        lowest = min(np.nanmin(np.array(row["found"]["curve_mean"], float)) for row in rows)
        axes[1].set_ylim(bottom=lowest / 3, top=min(axes[1].get_ylim()[1], HIGHEST))
        axes[1].set_ylabel("loss / first loss")
        shown = [label for label in LABELS if label in present]
        handles, labels = axes[1].get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        known = [label for label in shown if label in by_label]
        figure.legend(
            [by_label[label] for label in known],
            known,
            loc="outside upper center",
            ncols=min(len(known), 4 if len(names) < 2 else 7),
        )
        picture = svg()
    said = "; ".join(
        f"{row['optimizer']} in {row['implementation']} "
        f"{spelled(or_infinite(row['found']['objective_mean']))}"
        f" ± {spelled(row['found']['objective_standard_error'])}"
        for row in rows
    )
    learned = "learned" in present
    return Picture(
        anchor,
        f"{task}: " + ("learned against tuned baselines" if learned else "tuned baselines"),
        f"A schematic of the task, and loss over first loss against inner step on a log scale. "
        f"Mean meta-objectives: {said}.",
        f"Mean over {rows[0]['found']['n_problems']} held-out problems; bands are one standard "
        "error of the mean (the lower one cut at a hundredth of it). Baselines are tuned on other "
        "problems of the task. A curve leaves the picture, at the top, where a run of its "
        "optimizer diverged. Ratios are of the means, with a "
        "paired 95 % bootstrap interval over problems; below 1 the learned optimizer is better. "
        "Thin lines are further seeds of meta-training. "
        "Answers to the paper's first figure."
        + ("" if learned else " No learned optimizer for this task was among the checkpoints."),
        picture,
        numbers(rows),
    )


def _curve(ax: Axes, label: str, one: Any, again: bool) -> None:
    """One curve; `again` if it is a further seed of the same, which is drawn thin and bare."""
    mean = np.array(one["curve_mean"], float)
    error = np.array(one["curve_standard_error"], float)
    k = np.arange(mean.size)
    if again:
        ax.plot(k, mean, color=LOOK.colour(label), linewidth=0.8, alpha=0.6)
        return
    ax.plot(
        k,
        mean,
        color=LOOK.colour(label),
        marker=LOOK.marker(label),
        markevery=(7 * LABELS.index(label), 49),
        markersize=4,
        linewidth=2.2 if label == "learned" else 1.2,
        linestyle="--" if label == "theoretical momentum" else "-",
        label=label,
    )
    low = np.maximum(mean - error, mean / 100)
    ax.fill_between(k, low, mean + error, color=LOOK.colour(label), alpha=0.2, linewidth=0)


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)


def _quadratic(ax: Axes) -> None:
    batch = get_task("quadratic").sample("evaluate", 0, [0])
    H = batch.arrays["H"][0][:2, :2]
    u, v = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60))
    f = H[0, 0] * u**2 + 2 * H[0, 1] * u * v + H[1, 1] * v**2
    ax.contourf(u, v, np.sqrt(f), levels=12, cmap="viridis_r")
    ax.set_xlabel("two of the five parameters of a problem")
    _bare(ax)


def _rosenbrock(ax: Axes) -> None:
    u, v = np.meshgrid(np.linspace(-2, 2, 80), np.linspace(-2, 2, 80))
    ax.contourf(u, v, np.log1p((1 - u) ** 2 + 100 * (v - u**2) ** 2), levels=12, cmap="viridis_r")
    ax.plot(1, 1, marker="*", color="white", markersize=10)
    ax.set_xlabel("starts are uniform in here; ★ minimum")
    _bare(ax)


def _two_moons(ax: Axes) -> None:
    batch = get_task("two_moons").sample("evaluate", 0, [0])
    points, labels = (batch.shared[name] for name in ("points", "labels"))
    for label, marker, colour in ((0, "o", "#0173b2"), (1, "^", "#de8f05")):
        chosen = points[labels == label][:120]
        ax.scatter(chosen[:, 0], chosen[:, 1], s=8, marker=marker, color=colour)
    ax.set_xlabel("a part of the points, by class")
    _bare(ax)


def _digits(ax: Axes) -> None:
    batch = get_task("digits").sample("evaluate", 0, [0])
    pixels = batch.shared["pixels"][:16]
    rows = [np.hstack(list(pixels[i : i + 4])) for i in range(0, 16, 4)]
    ax.pcolormesh(np.vstack(rows)[::-1], cmap="gray_r")
    ax.set_aspect("equal")
    ax.set_xlabel("some of the images")
    _bare(ax)


SCHEMATICS: dict[str, Callable[[Axes], None]] = {
    "quadratic": _quadratic,
    "rosenbrock": _rosenbrock,
    "two_moons": _two_moons,
    "digits": _digits,
}
