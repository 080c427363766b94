"""What the words of the report mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.reports.page.elements import Bullets, Folded, Item, Prose
from loptbench.reports.sections.training import preset_of
from loptbench.tasks import TASKS

PAPER = (
    "Reverse engineering learned optimizers reveals known and novel mechanisms (Maheswaranathan, "
    "Sussillo, Metz, Sun, Sohl-Dickstein; arXiv 2011.02159)"
)
LINK = "https://arxiv.org/abs/2011.02159"
WORDS = (
    "A learned optimizer is a small recurrent network, meta-trained to do what Adam does by rule. "
    "It works on each parameter by itself: a state h and that parameter's gradient g give the next "
    "state F(h, g) and the update U(h, g). A, B, C, D are the derivatives of F and U by h and g.",
    "A checkpoint is one learned optimizer, from one seed of its meta-training.",
    "The meta-objective is the mean loss of a run over its first loss: 1 is no progress, less is "
    "better. It is about the whole run, not its end.",
    "A trial is one thing that is measured: how an implementation agrees with the reference, how "
    "well an optimizer does on held-out problems, or what mechanisms it has.",
    "The reference is an implementation in NumPy and float64, written for reading; the others are "
    "held to it. Teacher-forced: each step from the reference's own state. Free-running: the whole "
    "run by itself.",
    "The convergence point h* is where the state comes to rest without a gradient.",
    "Momentum index: the share of the answer to a gradient that comes after its first step, at h*; "
    "κ[t] is the answer t steps later. 0 is gradient descent; heavy ball has its own β.",
    "Saturation: the update over what a linear optimizer would make of the gradient. Half-"
    "saturation is the gradient at which it has fallen to one half.",
    "Schedule: the effective learning rate −D along the way that the state takes without a "
    "gradient.",
    "S-curve: the points at which the state comes to rest under constant gradients g. Elasticity: "
    "the slope of the logarithm of the learning rate there against that of |g|; 0 is no "
    "adaptation, −1 is RMSProp's. Of its two arms, g < 0 and g > 0, the worse one counts.",
)


def glossary(trained: Mapping[tuple[str, str], Mapping[str, Any]]) -> Folded:
    """The words, and the presets that the store's learned optimizers were made with.

    Args:
        trained: how each was meta-trained, by task and name.
    """
    items = [Item(f"The paper: {PAPER}", link=LINK), *(Item(one) for one in WORDS)]
    return Folded(
        "What the words mean",
        [Bullets(items), *(Prose(said) for said in presets(trained))],
    )


def presets(trained: Mapping[tuple[str, str], Mapping[str, Any]]) -> Sequence[str]:
    """A sentence on the sizes that each preset of a store has; none without learned optimizers."""
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for (task, _), told in trained.items():
        settings = told.get("configuration", {})
        sizes = settings.get("n_units", "?"), settings.get("n_outer_steps", "?")
        found.setdefault(preset_of(told), {}).setdefault(task, sizes)
    said = []
    for name, by_task in found.items():
        tasks = [task for task in TASKS if task in by_task]
        told_of = ", ".join(
            f"{by_task[task][0]} units and {by_task[task][1]} outer steps on {task}"
            for task in tasks
        )
        said.append(f"{name}: {told_of}")
    return [f"Presets of meta-training. {'; '.join(said)}."] if said else []
