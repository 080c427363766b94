"""What a trial is: one thing to find out, the key that names its record, and how."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.discovery import DiscoveredImplementation
from loptbench.optimizers import OptimizerSpec
from loptbench.results.provenance import code_hash, versions_of
from loptbench.results.store import TrialStatus
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.tasks import definition, get_task

Result = tuple[TrialStatus, str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One thing to find out, and how.

    Attributes:
        key: what determines its result, and names its record.
        run: finds it out.
    """

    key: Mapping[str, Any]
    run: Callable[[], Result]

    @property
    def words(self) -> str:
        """The trial in a few words, for progress."""
        key = self.key
        on = f" on {key['task']}" if "task" in key else ""
        return f"{key['trial']} of {key['optimizer']}{on} in {key['implementation']}"


def trial_key(
    entry: DiscoveredImplementation,
    trial: str,
    optimizer: str,
    spec: OptimizerSpec | None,
    task: str,
    seed: int,
    dtype: str,
) -> dict[str, Any]:
    """What every trial's result depends on.

    Args:
        entry: the implementation.
        trial: the kind of trial.
        optimizer: how the optimizer is called.
        spec: the optimizer; None if there are several, which the caller then adds.
        task: the task's name.
        seed: that of the problems.
        dtype: what it is computed in.
    """
    return {
        "trial": trial,
        "implementation": entry.name,
        "source": entry.source,
        "versions": versions_of(entry.implementation),
        "code": code_hash(),
        "optimizer": optimizer,
        "weights": weights_hash(spec) if spec is not None else None,
        "task": task,
        "problems": definition(get_task(task)),
        "seed": seed,
        "dtype": dtype,
        "device": "cpu",
    }


def learned(
    checkpoints: Mapping[str, Checkpoint], tasks: Iterable[str]
) -> list[tuple[str, OptimizerSpec, str, Mapping[str, Any]]]:
    """Label, optimizer, task and meta-training of those meta-trained on one of the tasks."""
    return [
        (f"checkpoint {name}", one.optimizer.rounded_to("float64"), task, one.meta_training)
        for task in tasks
        for name, one in checkpoints.items()
        if one.task == task
    ]


def bind(function: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
    """A trial's `run` from a function and its arguments."""
    return lambda: function(*arguments)


def comparison_dict(comparison: Comparison, by_step: bool) -> dict[str, Any]:
    """A comparison as plain values, with errors by step where wanted."""
    found: dict[str, Any] = {
        "quantity": comparison.quantity,
        "ratio": comparison.ratio,
        "error": float(np.max(comparison.error, initial=0.0)),
        "bound": float(np.min(comparison.bound, initial=np.inf)),
        "deviation": comparison.deviation,
    }
    if by_step:
        found |= {
            "error_by_step": comparison.error.tolist(),
            "bound_by_step": comparison.bound.tolist(),
        }
    return found
