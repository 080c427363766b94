"""How the learned optimizers were meta-trained: validation over the outer steps, seed by seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.reports.page.cells import table_of_cells
from loptbench.reports.page.elements import Figure, Table
from loptbench.reports.page.numbers import number_text
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import Canvas, few, numbers
from loptbench.reports.sections.results import or_infinite
from loptbench.results.plain import PlainRecord as Record
from loptbench.tasks import TASKS


def trained(records: Sequence[Record]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """How each learned optimizer was meta-trained, by task and name, of the evaluation records."""
    found = {
        (str(r.key["task"]), str(r.key["optimizer"]).removeprefix("checkpoint ")): r.result[
            "meta_training"
        ]
        for r in records
        if r.result.get("meta_training")
    }
    return dict(sorted(found.items(), key=lambda one: (_place(one[0][0]), one[0][1])))


def _place(task: str) -> int:
    return list(TASKS).index(task) if task in TASKS else len(TASKS)


def preset_of(told: Mapping[str, Any]) -> str:
    """The preset that a learned optimizer was meta-trained with."""
    return told.get("configuration", {}).get("preset") or "own settings"


def zoo_table(records: Sequence[Record]) -> Table | None:
    """Every learned optimizer: how it was made, and how it validated."""
    weights = {
        str(r.key["optimizer"]).removeprefix("checkpoint "): str(r.key["weights"]) for r in records
    }
    lines: list[list[Any]] = []
    for (task, name), told in trained(records).items():
        settings = told.get("configuration", {})
        log = told.get("log", [])
        lines.append(
            [
                name,
                task,
                told.get("implementation", ""),
                preset_of(told),
                settings.get("seed"),
                settings.get("n_units"),
                settings.get("n_outer_steps"),
                told.get("best_outer_step"),
                told.get("best_validation"),
                or_infinite(log[-1]["validation"]) if log else None,
                told.get("skipped_outer_steps"),
                told.get("setbacks", 0),
                weights.get(name, "")[:12],
                ", ".join(f"{k} {v}" for k, v in told.get("versions", {}).items()),
            ]
        )
    if not lines:
        return None
    return table_of_cells(
        "zoo-table",
        "Learned optimizers, with the mean meta-objective on validation problems at the outer step "
        "whose weights were kept and at the last; all seeds are here, also those that did badly.",
        [
            "name",
            "task",
            "meta-trained in",
            "preset",
            "seed",
            "units",
            "outer steps",
            "kept from step",
            "validation",
            "at the last step",
            "steps skipped",
            "rollbacks",
            "weights (SHA-256)",
            "versions",
        ],
        lines,
    )


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
