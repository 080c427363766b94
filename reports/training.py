"""How the learned optimizers were meta-trained: validation over the outer steps, seed by seed."""

from typing import Any

import pandas as pd

from loptbench.records import Record
from loptbench.reports.figures import Look, Picture, drawing
from loptbench.reports.results import or_infinite, spelled

STYLES = {"quick": "-", "paper": "--"}


def meta_training(records: list[Record], task: str, looks: Look) -> Picture | None:
    """The logs of the learned optimizers of a task.

    Args:
        records: the evaluation records.
        task: the task.
        looks: colours and markers of the implementations.
    """
    told = {
        str(r.key["optimizer"]).removeprefix("checkpoint "): r.result["meta_training"]
        for r in records
        if r.key["task"] == task and r.result.get("meta_training", {}).get("log")
    }
    if not told:
        return None
    data = pd.DataFrame(row for name, one in told.items() for row in _rows(name, one))
    anchor = f"meta-training-{task}"
    with drawing(anchor, 7.0, 3.6) as (figure, svg):
        axes = figure.subplots()
        for name, one in told.items():
            log = data[data["optimizer"] == name]
            trained_in, preset = one["implementation"], one["configuration"].get("preset", "")
            known = trained_in in looks.names
            axes.plot(
                log["step"],
                log["validation"],
                color=looks.colour(trained_in) if known else "0.5",
                linestyle=STYLES.get(preset, ":"),
                marker=looks.marker(trained_in) if known else None,
                markersize=3,
                linewidth=1.0,
                alpha=0.8,
                label=f"{trained_in}, {preset or 'own settings'}",
            )
        axes.set_yscale("log")
        axes.set_xlabel("outer step")
        axes.set_ylabel("meta-objective, validation")
        handles, labels = axes.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        figure.legend(by_label.values(), by_label.keys(), loc="outside upper center", ncols=4)
        picture = svg()
    said = "; ".join(
        f"{name} {spelled(one['best_validation'])} at step {one['best_outer_step']}"
        for name, one in told.items()
    )
    return Picture(
        anchor,
        f"{task}: meta-training",
        f"Validation meta-objective against outer step, one line for each seed. Best: {said}.",
        "One line for each meta-training seed, in the colour of what meta-trained it. The mean "
        "over validation problems, which are neither those trained on nor those reported on; the "
        "weights at the lowest point of a line are those that are kept. Outer steps whose "
        "meta-gradient was not finite were skipped: "
        + ", ".join(f"{name} {one['skipped_outer_steps']}" for name, one in told.items())
        + ".",
        picture,
        data,
    )


def _rows(name: str, one: Any) -> list[dict[str, Any]]:
    return [
        {
            "optimizer": name,
            "step": int(row["step"]),
            "meta_objective": or_infinite(row["objective"]),
            "validation": or_infinite(row["validation"]),
        }
        for row in one["log"]
    ]
