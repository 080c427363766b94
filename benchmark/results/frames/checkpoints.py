"""The frame of the checkpoints: how each learned optimizer was meta-trained."""

from collections.abc import Iterator, Mapping
from typing import Any

from loptbench.results.frames.columns import (
    OPTIMIZER,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    number,
)
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.evaluation import evaluated


def _checkpoints(contents: Contents) -> Iterator[Block]:
    weights = {
        (columns["task"], columns["optimizer"]): record.key["weights"]
        for record, columns, _ in evaluated(contents)
        if columns["role"] == "checkpoint"
    }
    for (task, name), about in contents.meta_training.items():
        training: Mapping[str, Any] = about if isinstance(about, Mapping) else about.model_dump()
        settings = training.get("configuration", {})
        log = training.get("log") or [{}]
        versions = training.get("versions", {})
        yield {
            "implementation": training.get("implementation", ""),
            "task": task,
            "role": "checkpoint",
            "optimizer": name,
            "dtype": settings.get("dtype", ""),
            **contents.training_columns(task, "checkpoint", name),
            "n_units": settings.get("n_units"),
            "n_outer_steps": settings.get("n_outer_steps"),
            "best_outer_step": training.get("best_outer_step"),
            "best_validation": training.get("best_validation"),
            "last_validation": log[-1].get("validation"),
            "skipped_outer_steps": training.get("skipped_outer_steps"),
            "setbacks": training.get("setbacks") or 0,
            "weights": weights.get((task, name), ""),
            "versions": ", ".join(f"{package} {version}" for package, version in versions.items()),
        }


CHECKPOINTS = Frame(
    "how one learned optimizer was meta-trained",
    {
        **OPTIMIZER,
        **TRAINING,
        "n_units": count("the number of hidden units"),
        "n_outer_steps": count("the number of outer steps of the schedule", "steps"),
        "best_outer_step": count("the outer step whose weights were kept", "steps"),
        "best_validation": number("the validation meta-objective there"),
        "last_validation": number("the validation meta-objective at the last outer step"),
        "skipped_outer_steps": count("outer steps without a finite gradient", "steps"),
        "setbacks": count("times that the weights were set back to the best ones"),
        "weights": Column("the SHA-256 of the weights"),
        "versions": Column("the versions of the packages that computed it"),
    },
    _checkpoints,
)
