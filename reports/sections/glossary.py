"""What the terms of the report mean."""

from typing import TYPE_CHECKING

from loptbench.reports.page.elements import Bullets, Folded, Item, Prose
from loptbench.reports.page.numbers import number_text
from loptbench.reports.sections.agreement import tasks_in_order

if TYPE_CHECKING:
    import pandas as pd

PAPER = (
    "Reverse engineering learned optimizers reveals known and novel mechanisms (Maheswaranathan, "
    "Sussillo, Metz, Sun, Sohl-Dickstein; arXiv 2011.02159)"
)
LINK = "https://arxiv.org/abs/2011.02159"
TERMS = (
    "A learned optimizer is a small recurrent network, meta-trained to do what Adam does by rule. "
    "It works on each parameter separately: a state h and the parameter's gradient g give the "
    "next state F(h, g) and the update U(h, g). A, B, C, D are the derivatives of F and U by h and "
    "g.",
    "A checkpoint is one learned optimizer, from one seed of its meta-training.",
    "The meta-objective is the mean loss of a run over its first loss. 1 is no progress; less is "
    "better. It measures the whole run, not its end.",
    "A trial is one measurement: how an implementation agrees with the reference, how well an "
    "optimizer does on held-out problems, or which mechanisms it has.",
    "The reference is an implementation in NumPy and float64, written for reading. The others are "
    "compared with it. Teacher-forced: each step starts from the reference's state. Free-running: "
    "a whole run without corrections.",
    "The convergence point h* is the state to which an optimizer converges without a gradient.",
    "Momentum index: the share of the response to a gradient that comes after its first step, at "
    "h*. κ[t] is the response t steps later. 0 is gradient descent; heavy ball has its own β.",
    "Saturation: the update over that of a linear optimizer for the same gradient. Half-saturation "
    "is the gradient at which this ratio has fallen to one half. Saturation loss is the share of "
    "the linear updates of real runs, at their own states, that saturation takes away.",
    "Schedule: the effective learning rate −D, along the trajectory of the state without a "
    "gradient, and at the states of real runs.",
    "T is the number of steps of a run. Adapted state: the state after T steps of a constant "
    "gradient g, from h*. Over all g these states form the S-curve. Fixed point: a state that a "
    "constant gradient leaves as it is, stable or not.",
    "Adaptation ratio: the learning rate for small gradients in the adapted state of a large "
    "gradient (q99, which one gradient in a hundred exceeds) over that of a typical one (q50, the "
    "median). Below 1 the rate falls where gradients are large. The worse of the two arms, g < 0 "
    "and g > 0, counts.",
    "Reading: one of the statistics that the same sentence of the paper could mean. The verdict "
    "rests on the primary one; robustness is the share of the others that agree.",
)


def glossary(checkpoints: "pd.DataFrame") -> Folded:
    """The terms of the report, and the presets of the store's learned optimizers.

    Args:
        checkpoints: the frame of the learned optimizers.
    """
    items = [Item(f"The paper: {PAPER}", link=LINK), *(Item(term) for term in TERMS)]
    sizes = _preset_sizes(checkpoints)
    return Folded("What the terms mean", [Bullets(items), *([Prose(sizes)] if sizes else [])])


def _preset_sizes(checkpoints: "pd.DataFrame") -> str:
    """The sizes of each preset, task by task; empty without learned optimizers."""
    first = checkpoints.drop_duplicates(["preset", "task"])
    presets = []
    for preset, rows in first.groupby("preset", sort=False):
        by_task = rows.set_index("task")
        sizes = [
            f"{number_text(by_task.n_units[task])} units and "
            f"{number_text(by_task.n_outer_steps[task])} outer steps on {task}"
            for task in tasks_in_order(rows.task)
        ]
        presets.append(f"{preset}: {', '.join(sizes)}")
    return f"Presets of meta-training. {'; '.join(presets)}." if presets else ""
