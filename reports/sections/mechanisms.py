"""The paper's figures on the four mechanisms: panels for each task, learned beside tuned."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.reports.page.cells import drawn_thick, table_of_cells
from loptbench.reports.page.elements import Figure, Key
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import INK, Canvas, few, numbers
from loptbench.reports.plots.styles import Look
from loptbench.reports.sections.old_figures import role_and_name
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS

CONTROL = "momentum"
"""The control among the mechanisms trials that is drawn: momentum with β = 0.9 and α = 0.1."""
LENGTH = 61
# Neither of these is an optimizer's; all can be seen on white and on black.
PATH = ("#443983", "#31688e", "#21918c", "#35b779", "#90d743")
"""The colours of a trajectory from its first step to its last: viridis, without its ends."""
ARMS = {"g < 0": "#5a7fe8", "g > 0": "#dd5f4b"}
"""The colours of the S-curve's arms."""

Groups = dict[str, list[tuple[Look, str, Record]]]
Draw = Callable[[list[Canvas], Look, str, Mapping[str, Any], bool], None]


@dataclasses.dataclass(frozen=True)
class Kind:
    """What one of the figures shows.

    Attributes:
        probe: the probe whose results it shows, which names it.
        title: its heading.
        panels: the heading of each of a task's panels.
        draw: draws one optimizer: told the panels, its look and name, what the probe found, and
            whether it is a further seed of the same.
        finish: labels the panels of one task.
        numbers: the numbers of one optimizer, of what the probe found.
        columns: what they are.
        alternative: what it shows, in words.
        caption: what to look for.
        signs: what is in the legend besides the optimizers.
    """

    probe: str
    title: str
    panels: tuple[str, ...]
    draw: Draw
    finish: Callable[[list[Canvas]], None]
    numbers: Callable[[Mapping[str, Any]], list[Any]]
    columns: tuple[str, ...]
    alternative: str
    caption: str
    signs: tuple[Key, ...] = ()


def mechanism_figure(
    records: Sequence[Record], probe: str, words: str, command: str
) -> Figure | None:
    """One of the four figures, if there are records for it.

    Args:
        records: those of the mechanisms trials.
        probe: "momentum", "clipping", "schedule" or "adaptation".
        words: the verdicts, for those who do not see the figure.
        command: what makes the figure again.
    """
    kind = next(one for one in KINDS if one.probe == probe)
    by_task: dict[str, list[Canvas]] = {}
    left_out = ""
    thick: list[str] = []
    lines: list[list[Any]] = []
    shown: list[Look] = []
    for task, group in _by_task(records).items():
        usable = [one for one in group if "not_applicable" not in one[2].result[probe]]
        if not usable:
            continue
        canvases = [Canvas(f"{task}: {title}") for title in kind.panels]
        here: set[str] = set()
        drawn, said = few(usable, lambda one: one[0])
        left_out += said and f" On {task}: {said.strip()}"
        for look, label, record in drawn:
            if look.name == "learned" and look.name not in here:
                thick.append(label)
            kind.draw(canvases, look, label, record.result[probe], look.name in here)
            here.add(look.name)
            shown.append(look)
        for _, label, record in usable:
            row = kind.numbers(record.result[probe])
            lines.append([label, task, record.key["implementation"], *row])
        kind.finish(canvases)
        by_task[task] = canvases
    if not by_task:
        return None
    # The same panel of every task stands in one row, where there is room.
    canvases = [canvas for row in zip(*by_task.values(), strict=True) for canvas in row]
    anchor = f"figure-{probe}"
    columns = ["optimizer", "task", "implementation", *kind.columns]
    table = table_of_cells(f"{anchor}-optimizers", f"{kind.title}, by optimizer.", columns, lines)
    return Figure(
        anchor,
        kind.title,
        f"{kind.alternative} {words}",
        f"{kind.caption} {drawn_thick(thick)}"
        "Baselines are the tuned ones; the control, on the first task, is momentum with β = 0.9. "
        f"Where an optimizer is missing, the table of convergence points says why.{left_out}",
        [canvas.panel(f"{anchor}-{i}") for i, canvas in enumerate(canvases)],
        [*looks.keys(sorted(shown, key=lambda look: looks.place(look.name))), *kind.signs],
        [table, *numbers(anchor, kind.title, canvases)],
        command,
    )


def _by_task(records: Sequence[Record]) -> Groups:
    """The records of each task, each with its look, learned ones first, each once."""
    by_task: dict[str, dict[str, tuple[Look, str, Record]]] = {}
    for record in records:
        role, label = role_and_name(record.key)
        if role == "checkpoint":
            look, name = "learned", label
        elif role == "tuned":
            look, name = label, f"tuned {label}"
        elif label == CONTROL:
            look, name = "control", "control: momentum, β = 0.9"
        else:
            continue
        entry = (looks.optimizer(look), name, record)
        by_task.setdefault(record.key["task"], {}).setdefault(name, entry)
    return {
        task: sorted(by_task[task].values(), key=lambda one: looks.place(one[0].name))
        for task in TASKS
        if any(look.name == "learned" for look, _, _ in by_task.get(task, {}).values())
    }


def _momentum(
    canvases: list[Canvas], look: Look, name: str, found: Mapping[str, Any], again: bool
) -> None:
    response, plane = canvases
    kappa = -np.array(found["impulse_response"], float)[:LENGTH]
    response.line(np.arange(kappa.size), kappa / kappa[0], look, name, again)
    values = np.array([mode["eigenvalue"] for mode in found["modes"]], float).reshape(-1, 2)
    if not again:
        plane.ax.scatter(
            values[:, 0],
            values[:, 1],
            s=24,
            facecolors="none",
            edgecolors=[look.light],
            marker=look.marker,
        )


def _numbers_of_momentum(found: Mapping[str, Any]) -> list[Any]:
    names = ("index", "effective_rate", "asymptotic_rate", "r2_near_convergence", "r2_whole_run")
    return [found[name] for name in names]


def _finish_momentum(canvases: list[Canvas]) -> None:
    response, plane = canvases
    response.labels("steps after the impulse", "κ[t] / κ[0] (symlog)")
    response.ax.set_yscale("symlog", linthresh=0.1)
    low, high = response.ax.get_ylim()
    ticks = [-1000.0, -100, -10, -1, -0.1, 0, 0.1, 1, 10, 100, 1000]
    response.ticks("y", [tick for tick in ticks if low <= tick <= high])
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    plane.ax.plot(circle.real, circle.imag, color=INK, linewidth=0.8)
    plane.ax.set_aspect("equal", adjustable="datalim")
    plane.labels("eigenvalues: real part", "imaginary part")


def _clipping(
    canvases: list[Canvas], look: Look, name: str, found: Mapping[str, Any], again: bool
) -> None:
    saturation, density = canvases
    one = _clipping_state(found)
    g = np.array(found["gradients"], float)
    u = np.array(one["update"], float)
    for canvas in canvases:
        if canvas.ax.get_xscale() == "linear":  # the first one: logarithmic on both sides of 0
            canvas.ax.set_xscale("symlog", linthresh=g.min())
            canvas.ax.set_xlim(-g.max(), g.max())
            ends = np.log10(g.min()), np.log10(g.max())
            decades = np.unique(np.linspace(*ends, 3).round()[1:])
            canvas.ticks("x", [*-(10.0 ** decades[::-1]), 0.0, *10.0**decades])
    both = np.concatenate([-g[::-1], g])
    s = np.concatenate([u[0][::-1] / (-one["gain"] * g[::-1]), u[1] / (one["gain"] * g)])
    saturation.line(both, s, look, name, again)
    share = found["density"]
    if look.name == "learned" and not again and share["edges"]:
        edges = np.array(share["edges"], float)
        middle = 10 ** ((edges[1:] + edges[:-1]) / 2)
        for sign, values in zip((-1, 1), share["share"], strict=True):
            density.ax.fill_between(
                sign * middle, values, color=look.light, alpha=0.5, step="mid", linewidth=0
            )


def _clipping_state(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """h*, or where an optimizer has no gain there, as RMSProp, a state from the middle of a run."""
    states: dict[str, Mapping[str, Any]] = {one["where"]: one for one in found["states"]}
    return states.get("h*") or list(states.values())[len(states) // 2]


def _numbers_of_clipping(found: Mapping[str, Any]) -> list[Any]:
    one = _clipping_state(found)
    half = one["half_saturation"]
    return [one["where"], half[0], half[1], found["largest_gradient"], found.get("engagement")]


def _finish_clipping(canvases: list[Canvas]) -> None:
    saturation, density = canvases
    saturation.labels("gradient g (symlog)", "s(g) = u(g) / D g")
    density.labels("gradient g (symlog)", "share of gradients met")
    saturation.ax.axhline(0.5, color=INK, linestyle=":", linewidth=1)
    saturation.ax.set_ylim(-0.1, 1.6)


def _schedule(
    canvases: list[Canvas], look: Look, name: str, found: Mapping[str, Any], again: bool
) -> None:
    rates, alone, plane = canvases
    rate = np.array(found["rate"], float)
    rates.line(np.arange(rate.size), np.where(rate > 0, rate, np.nan), look, name, again)
    if look.name != "learned":
        return
    alone.line(np.arange(rate.size), rate / rate[0], look, name, again)
    path = np.array(found["trajectory"], float)
    if not again and path.ndim == 2 and path.shape[1] > 1:
        plane.ax.plot(path[:, 0], path[:, 1], color=look.light, linewidth=0.8)
        points = path[:: max(1, len(path) // 60)]
        steps = np.linspace(0, len(PATH) - 1, len(points)).round().astype(int)
        plane.ax.scatter(points[:, 0], points[:, 1], c=[PATH[i] for i in steps], s=9)


def _numbers_of_schedule(found: Mapping[str, Any]) -> list[Any]:
    names = ("peak_step", "peak_over_first", "last_over_peak", "lowest_over_highest")
    return [found[name] for name in names]


def _finish_schedule(canvases: list[Canvas]) -> None:
    rates, alone, plane = canvases
    rates.labels("step without a gradient", "effective rate η[t]")
    alone.labels("step without a gradient", "η[t] / η[0]")
    rates.log("y")
    # RMSProp without a gradient has a rate of millions, beside which all others are flat.
    own = [line for line in rates.ax.lines if line.get_color() == looks.optimizer("learned").light]
    if own:
        y = np.concatenate([np.asarray(line.get_ydata(), float) for line in own])
        rates.ax.set_ylim(np.nanmin(y) / 20, np.nanmax(y) * 20)
    plane.labels("autonomous trajectory: PC 1", "PC 2")


def _adaptation(
    canvases: list[Canvas], look: Look, name: str, found: Mapping[str, Any], again: bool
) -> None:
    g = np.array(found["gradients"], float)
    rate = np.array(found["rate_reference"], float)
    rate = np.where(rate > 0, rate, np.nan)
    alone, plane = canvases[2:]
    for canvas in canvases[:3]:
        if not canvas.ax.lines:  # the first one says over which gradients
            canvas.ax.set_xlim(np.abs(g).min() / 2, 2 * np.abs(g).max())
    curve = np.array(found["curve"], float)
    is_drawn = not again and curve.ndim == 2 and curve.shape[1] > 1
    for canvas, arm, (sign, colour) in zip(canvases, (g < 0, g > 0), ARMS.items(), strict=False):
        order = np.argsort(np.abs(g[arm]))
        size, of_size = np.abs(g[arm])[order], rate[arm][order]
        canvas.line(size, of_size, look, name, again)
        if look.name != "learned":
            continue
        dashed = dataclasses.replace(look, dash="--") if sign == "g < 0" else look
        known = of_size[np.isfinite(of_size)]
        alone.line(size, of_size / known[:1] if known.size else of_size, dashed, name, again)
        if is_drawn:
            points = curve[arm][:: max(1, len(curve) // 100)]
            plane.ax.scatter(points[:, 0], points[:, 1], color=colour, s=10)


def _numbers_of_adaptation(found: Mapping[str, Any]) -> list[Any]:
    return [
        *found["elasticity"],
        *found["rank_correlation"],
        sum(found["settled"]),
        len(found["settled"]),
    ]


def _finish_adaptation(canvases: list[Canvas]) -> None:
    for canvas, arm in zip(canvases, ("g < 0", "g > 0"), strict=False):
        canvas.labels(f"|g|, {arm}", "η_ref(g)")
        canvas.log("x", "y")
    alone, plane = canvases[2:]
    alone.labels("|g|, both signs", "η_ref(g) / at the least |g|")
    alone.log("x")
    plane.labels("S-curve: PC 1", "PC 2")


KINDS = (
    Kind(
        "momentum",
        "Momentum at the convergence point",
        ("impulse response", "eigenvalues"),
        _momentum,
        _finish_momentum,
        _numbers_of_momentum,
        (
            "momentum index",
            "effective rate",
            "asymptotic rate",
            "R² near convergence",
            "R² of runs",
        ),
        "The answer to a gradient impulse over the steps after it, relative to the first, and the "
        "eigenvalues of A in the complex plane with the unit circle.",
        "What comes after the first step is momentum: index 1 − κ[0]/Σκ. Slow modes have "
        "eigenvalues near 1. An axis that is called symlog is logarithmic on both sides of a "
        "linear stretch around 0. Answers to the paper's figure on momentum.",
    ),
    Kind(
        "clipping",
        "The update against the gradient",
        ("saturation", "gradients met"),
        _clipping,
        _finish_clipping,
        _numbers_of_clipping,
        (
            "at the state",
            "half-saturation, g < 0",
            "half-saturation, g > 0",
            "largest gradient",
            "share beyond",
        ),
        "The update over what a linear optimizer would make of the gradient, which falls where it "
        "saturates, with a dotted line at one half, and the gradients that the learned optimizer "
        "meets.",
        "At the convergence point; where an optimizer has no gain there, at a state from the "
        "middle of a run. Half-saturation is where the curve crosses the dotted line. Answers to "
        "the paper's figure on gradient clipping.",
    ),
    Kind(
        "schedule",
        "The learning rate along the autonomous trajectory",
        ("effective learning rate", "learned ones, relative", "autonomous trajectory"),
        _schedule,
        _finish_schedule,
        _numbers_of_schedule,
        ("peak at step", "peak / first", "last / peak", "lowest / highest"),
        "The effective learning rate along the trajectory that the state takes without a gradient, "
        "the same of learned optimizers alone, relative to their first, and that trajectory in its "
        "first two principal components, coloured by step.",
        "η[t] = −D(h[t], 0). A flat line is no schedule. Rates more than twenty "
        "times those of learned optimizers leave the picture. Answers to the paper's figure on "
        "learning-rate schedules.",
        (
            looks.drawn(
                "trajectory, from the first step to the last",
                "".join(
                    f'<rect x="{5 * i + 2}" y="2" width="5" height="8" fill="{colour}"/>'
                    for i, colour in enumerate(PATH)
                ),
            ),
        ),
    ),
    Kind(
        "adaptation",
        "The learning rate along the S-curve",
        ("rate, g < 0", "rate, g > 0", "learned ones, relative", "S-curve"),
        _adaptation,
        _finish_adaptation,
        _numbers_of_adaptation,
        (
            "elasticity, g < 0",
            "elasticity, g > 0",
            "rank correlation, g < 0",
            "rank correlation, g > 0",
            "settled",
            "of gradients",
        ),
        "For negative and for positive gradients, the learning rate of the state that a constant "
        "gradient leads to, over the gradient's size, on log axes; the same of learned optimizers "
        "alone, relative to the rate at the least gradient; and those states in their first two "
        "principal components, coloured by the gradient's sign.",
        "η_ref(g) = −D(h*(g), 0). A falling line is adaptation: −1 is RMSProp's slope. Among the "
        "learned ones alone, g < 0 is dashed. Gaps are gradients under which the state does not "
        "settle. Answers to the paper's figure on learning-rate adaptation.",
        tuple(
            looks.drawn(f"S-curve, {sign}", f'<circle cx="14" cy="6" r="4" fill="{colour}"/>')
            for sign, colour in ARMS.items()
        ),
    ),
)
