"""The frame of the checkpoints: how each learned optimizer was meta-trained."""

from collections.abc import Iterator

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
from loptbench.results.schema.evaluation import LearnedResult
from loptbench.results.schema.keys import Role


def _checkpoints(contents: Contents) -> Iterator[Block]:
    weights = {
        (record.key.task, record.key.optimizer.name): record.key.weights
        for record, result in contents.evaluations()
        if isinstance(result, LearnedResult)
    }
    for (task, name), training in contents.meta_training.items():
        settings = training.configuration
        versions = [f"{package} {version}" for package, version in training.versions.items()]
        yield {
            "implementation": training.implementation,
            "task": task,
            "role": str(Role.CHECKPOINT),
            "optimizer": name,
            "dtype": settings.get("dtype", ""),
            **contents.training_columns(task, Role.CHECKPOINT, name),
            "architecture": training.architecture,
            "n_units": settings.get("n_units"),
            "n_outer_steps": settings.get("n_outer_steps"),
            "best_outer_step": training.best_outer_step,
            "best_validation": training.best_validation,
            "last_validation": training.log[-1].validation if training.log else None,
            "skipped_outer_steps": training.skipped_outer_steps,
            "setbacks": training.setbacks or 0,
            "weights": weights[task, name] or "",
            "versions": ", ".join(versions),
        }


CHECKPOINTS = Frame(
    "how one learned optimizer was meta-trained",
    {
        **OPTIMIZER,
        **TRAINING,
        "architecture": Column("the architecture, such as gru or lstm"),
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
