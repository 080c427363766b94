"""The paper's figures on the four mechanisms: a panel for each task, learned beside tuned."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from loptbench.claims import claims
from loptbench.records import Record
from loptbench.reports.comparison import LOOK
from loptbench.reports.figures import Picture, drawing
from loptbench.tasks import TASKS
from loptbench.verdicts import Scope

WIDTH = 3.1
TUNED = "tuned "
LENGTH = 61

MECHANISM_OF = {
    "momentum": ("linear-near-convergence", "momentum", "momentum-of-theory", "momentum-of-tuning"),
    "clipping": ("clipping", "clipping-spared", "clipping-engaged"),
    "schedule": ("schedule-rises", "schedule-peaks", "schedule-decays", "schedule-absent"),
    "adaptation": ("adaptation", "adaptation-strength"),
}
"""The claims that each figure is about."""

Row = dict[str, Any]


def mechanism_pictures(
    records: Sequence[Record], verdicts: Sequence[Mapping[str, Any]]
) -> list[Picture]:
    """The four figures, as far as there are records for them.

    Args:
        records: those of the mechanisms trials.
        verdicts: those of the store.
    """
    makers = (_momentum, _clipping, _schedule, _adaptation)
    found = (make(_by_task(records), verdicts) for make in makers)
    return [picture for picture in found if picture is not None]


def _by_task(records: Sequence[Record]) -> dict[str, list[tuple[str, Record]]]:
    """The records of each task, each with its look's name, learned ones first, each once."""
    by_task: dict[str, dict[str, tuple[str, Record]]] = {}
    for record in records:
        label = record.key["optimizer"]
        if label.startswith("checkpoint "):
            look = "learned"
        elif label.startswith(TUNED):
            look = label.removeprefix(TUNED)
        else:
            continue
        by_task.setdefault(record.key["task"], {}).setdefault(label, (look, record))
    return {
        task: sorted(by_task[task].values(), key=lambda one: one[0] != "learned")
        for task in TASKS
        if any(look == "learned" for look, _ in by_task.get(task, {}).values())
    }


Groups = dict[str, list[tuple[str, Record]]]
Draw = Callable[[list[Axes], str, Record, bool], Row]


def _panels(
    name: str,
    groups: Groups,
    probe: str,
    rows: int,
    draw: Draw,
    finish: Callable[[list[Axes]], None],
) -> tuple[str, pd.DataFrame] | None:
    """A column of panels for each task; each optimizer drawn by `draw`, which returns its numbers.

    Args:
        name: the anchor.
        groups: the records, by task.
        probe: the probe that the figure shows.
        rows: how many panels each task has.
        draw: told the panels, the look's name, the record, and whether it is a further seed of the
            same.
        finish: labels the panels of one task.
    """
    usable = {
        task: [one for one in found if "not_applicable" not in one[1].result[probe]]
        for task, found in groups.items()
    }
    if not any(usable.values()):
        return None
    numbers: list[Row] = []
    known: dict[str, Any] = {}
    with drawing(name, max(2, len(usable)) * WIDTH, 2.7 * rows + 0.5) as (figure, svg):
        axes = figure.subplots(rows, len(usable), squeeze=False)
        for column, (task, found) in enumerate(usable.items()):
            here = list(axes[:, column])
            here[0].set_title(task, fontsize=10)
            seen: set[str] = set()
            for look, record in found:
                row = draw(here, look, record, look in seen)
                seen.add(look)
                told = {name: record.key[name] for name in ("task", "optimizer", "implementation")}
                numbers.append(told | row)
            finish(here)
            for handle, label in zip(*here[0].get_legend_handles_labels(), strict=True):
                known.setdefault(label, handle)
        figure.legend(
            list(known.values()),
            list(known),
            loc="outside upper center",
            ncols=min(len(known), 2 * max(2, len(usable))),
        )
        picture = svg()
    return picture, pd.DataFrame(numbers)


def _line(ax: Axes, x: Any, y: Any, look: str, again: bool) -> None:
    """One optimizer's curve; further seeds of the learned one are thin and without a marker."""
    style: dict[str, Any] = {"color": LOOK.colour(look)}
    if again:
        ax.plot(x, y, linewidth=0.7, alpha=0.5, **style)
        return
    every = max(1, len(x) // 6)
    ax.plot(
        x,
        y,
        marker=LOOK.marker(look),
        markevery=every,
        markersize=4,
        linewidth=2.2 if look == "learned" else 1.3,
        label=look,
        **style,
    )


def _picture(
    mechanism: str,
    title: str,
    drawn: tuple[str, pd.DataFrame] | None,
    alternative: str,
    caption: str,
    verdicts: Sequence[Mapping[str, Any]],
) -> Picture | None:
    if drawn is None:
        return None
    svg, data = drawn
    said = "; ".join(_verdict_words(verdicts, MECHANISM_OF[mechanism])) or "none were drawn"
    return Picture(
        f"mechanism-{mechanism}",
        title,
        f"{alternative} Verdicts over seeds: {said}.",
        f"{caption} Thin lines are further seeds of meta-training; baselines are the tuned ones. "
        f"Where an optimizer is missing, the table of convergence points says why. Verdicts: "
        f"{said}.",
        svg,
        data,
    )


def _verdict_words(verdicts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Each verdict over seeds in a few words: threshold, outcome, seeds and interval."""
    titles = {claim.name: claim for claim in claims()}
    return [
        f"{titles[v['claim']].title}, {v['task']} ({titles[v['claim']].threshold}): "
        f"{v['outcome']}, {v['n_reproduced']} of {v['n_seeds']} seeds"
        + (f", mean {v['value']:.3g}" if v["value"] is not None else "")
        + (f" [{v['low']:.3g}, {v['high']:.3g}]" if v["low"] is not None else "")
        for v in over_all_seeds(verdicts)
        if v["claim"] in names
    ]


def over_all_seeds(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The verdicts over all seeds of a task and preset, whatever meta-trained them."""
    return [verdict for verdict in verdicts if verdict["scope"] == Scope.ALL_SEEDS]


def _momentum(groups: Groups, verdicts: Sequence[Mapping[str, Any]]) -> Picture | None:
    def draw(axes: list[Axes], look: str, record: Record, again: bool) -> Row:
        found = record.result["momentum"]
        kappa = -np.array(found["impulse_response"], float)[:LENGTH]
        _line(axes[0], np.arange(kappa.size), kappa / kappa[0], look, again)
        values = np.array([mode["eigenvalue"] for mode in found["modes"]]).reshape(-1, 2)
        if not again:
            axes[1].scatter(
                values[:, 0],
                values[:, 1],
                s=30,
                facecolors="none",
                edgecolors=[LOOK.colour(look)],
                marker=LOOK.marker(look),
            )
        return {
            "momentum_index": found["index"],
            "effective_rate": found["effective_rate"],
            "asymptotic_rate": found["asymptotic_rate"],
            "r2_near_convergence": found["r2_near_convergence"],
            "r2_whole_run": found["r2_whole_run"],
        }

    def finish(axes: list[Axes]) -> None:
        axes[0].set_xlabel("steps after the impulse")
        axes[0].set_ylabel("κ[t] / κ[0]")
        axes[0].set_yscale("symlog", linthresh=0.1)
        circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
        axes[1].plot(circle.real, circle.imag, color="grey", linewidth=1)
        axes[1].set_aspect("equal")
        axes[1].set_xlabel("eigenvalues: real part")
        axes[1].set_ylabel("imaginary part")

    return _picture(
        "momentum",
        "Momentum at the convergence point",
        _panels("mechanism-momentum", groups, "momentum", 2, draw, finish),
        "Above, the answer to a gradient impulse over the steps after it, relative to the first; "
        "below, the eigenvalues of A in the complex plane with the unit circle.",
        "What comes after the first step is momentum: index 1 − κ[0]/Σκ. Slow modes have "
        "eigenvalues near 1. Answers to the paper's figure on momentum.",
        verdicts,
    )


def _clipping(groups: Groups, verdicts: Sequence[Mapping[str, Any]]) -> Picture | None:
    def draw(axes: list[Axes], look: str, record: Record, again: bool) -> Row:
        found = record.result["clipping"]
        # Where an optimizer has no gain at h*, as RMSProp, a state from the middle of a run.
        states = {one["where"]: one for one in found["states"]}
        one = states.get("h*") or found["states"][len(found["states"]) // 2]
        g = np.array(found["gradients"], float)
        u = np.array(one["update"], float)
        for ax in axes:
            if ax.get_xscale() == "linear":  # the first one: a logarithmic axis on both sides of 0
                ax.set_xscale("symlog", linthresh=g.min())
                ax.set_xlim(-g.max(), g.max())
                ends = np.log10(g.min()), np.log10(g.max())
                decades = np.unique(np.linspace(*ends, 3).round()[1:])
                ax.set_xticks([*-(10.0 ** decades[::-1]), 0.0, *10.0**decades])
        for sign, arm in zip((-1, 1), u, strict=True):
            s = arm / (one["gain"] * sign * g)
            _line(axes[0], sign * g, s, look, again or sign < 0)
        density = found["density"]
        if look == "learned" and not again and density["edges"]:
            middle = 10 ** ((np.array(density["edges"])[1:] + density["edges"][:-1]) / 2)
            for sign, share in zip((-1, 1), density["share"], strict=True):
                axes[1].fill_between(
                    sign * middle, share, color=LOOK.colour(look), alpha=0.5, step="mid"
                )
        half = one["half_saturation"]
        return {
            "state": one["where"],
            "half_saturation_negative": half[0],
            "half_saturation_positive": half[1],
            "largest_gradient": found["largest_gradient"],
            "share_beyond": found.get("engagement"),
        }

    def finish(axes: list[Axes]) -> None:
        for ax in axes:
            ax.set_xlabel("gradient g")
            ax.tick_params(axis="x", labelsize=8)
        axes[0].axhline(0.5, color="grey", linestyle=":", linewidth=1)
        axes[0].set_ylim(-0.1, 1.6)
        axes[0].set_ylabel("s(g) = u(g) / D g")
        axes[1].set_ylabel("share of gradients met")

    return _picture(
        "clipping",
        "Gradient clipping",
        _panels("mechanism-clipping", groups, "clipping", 2, draw, finish),
        "Above, the update over what a linear optimizer would make of the gradient, which falls "
        "where it saturates, with a dotted line at one half; below, the gradients that the learned "
        "optimizer meets.",
        "At the convergence point; where an optimizer has no gain there, at a state from the "
        "middle of a run. Half-saturation is where the curve crosses the dotted line. Answers to "
        "the paper's figure on gradient clipping.",
        verdicts,
    )


def _schedule(groups: Groups, verdicts: Sequence[Mapping[str, Any]]) -> Picture | None:
    def draw(axes: list[Axes], look: str, record: Record, again: bool) -> Row:
        found = record.result["schedule"]
        rate = np.array(found["rate"], float)
        _line(axes[0], np.arange(rate.size), rate, look, again)
        path = np.array(found["trajectory"], float)
        if look == "learned" and not again and path.shape[1] > 1:
            axes[1].plot(path[:, 0], path[:, 1], color=LOOK.colour(look), linewidth=1)
            axes[1].scatter(path[:, 0], path[:, 1], c=np.arange(len(path)), s=9, cmap="viridis")
        names = ("peak_step", "peak_over_first", "last_over_peak", "lowest_over_highest")
        return {name: found[name] for name in names}

    def finish(axes: list[Axes]) -> None:
        axes[0].set_xlabel("step without a gradient")
        axes[0].set_ylabel("effective learning rate η[t]")
        axes[0].set_yscale("log")
        axes[1].set_xlabel("autonomous trajectory: PC 1")
        axes[1].set_ylabel("PC 2")

    return _picture(
        "schedule",
        "Learning-rate schedule",
        _panels("mechanism-schedule", groups, "schedule", 2, draw, finish),
        "Above, the effective learning rate along the trajectory that the state takes without a "
        "gradient; below, that trajectory in its first two principal components, coloured by step.",
        "η[t] = −D(h[t], 0). A flat line is no schedule. Answers to the paper's figure on "
        "learning-rate schedules.",
        verdicts,
    )


def _adaptation(groups: Groups, verdicts: Sequence[Mapping[str, Any]]) -> Picture | None:
    def draw(axes: list[Axes], look: str, record: Record, again: bool) -> Row:
        found = record.result["adaptation"]
        g = np.array(found["gradients"], float)
        rate = np.array(found["rate_reference"], float)
        rate = np.where(rate > 0, rate, np.nan)
        for ax, arm in zip(axes, (g < 0, g > 0), strict=False):
            if not ax.lines:  # the first one says over which gradients
                ax.set_xlim(np.abs(g).min() / 2, 2 * np.abs(g).max())
            _line(ax, np.abs(g[arm]), rate[arm], look, again)
        curve = np.array(found["curve"], float)
        if look == "learned" and not again:
            place = np.sign(g) * np.log(np.abs(g) / np.abs(g).min())
            axes[2].scatter(curve[:, 0], curve[:, 1], c=place, s=10, cmap="coolwarm")
        return {
            "elasticity_negative": found["elasticity"][0],
            "elasticity_positive": found["elasticity"][1],
            "rank_correlation_negative": found["rank_correlation"][0],
            "rank_correlation_positive": found["rank_correlation"][1],
            "settled": sum(found["settled"]),
            "of": len(found["settled"]),
        }

    def finish(axes: list[Axes]) -> None:
        for ax, arm in zip(axes, ("g < 0", "g > 0"), strict=False):
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_xlabel(f"|g|, {arm}")
            ax.set_ylabel("η_ref(g)")
        axes[2].set_xlabel("S-curve: PC 1")
        axes[2].set_ylabel("PC 2")

    return _picture(
        "adaptation",
        "Learning-rate adaptation",
        _panels("mechanism-adaptation", groups, "adaptation", 3, draw, finish),
        "Above, for negative and for positive gradients, the learning rate of the state that a "
        "constant gradient leads to, over the gradient's size, on log axes; below, those states in "
        "their first two principal components, coloured by gradient.",
        "η_ref(g) = −D(h*(g), 0). A falling line is adaptation: −1 is RMSProp's slope. Gaps are "
        "gradients under which the state does not settle. Answers to the paper's figure on "
        "learning-rate adaptation.",
        verdicts,
    )
