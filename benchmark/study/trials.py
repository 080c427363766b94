"""A trial: one measurement, the key that names its record, and the function that makes it."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.discovery import DiscoveredImplementation
from loptbench.optimizers import OptimizerSpec
from loptbench.results.provenance import code_hash, versions_of
from loptbench.results.schema.conformance import ComparisonResult
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.records import TrialResult, TrialStatus
from loptbench.results.sources import sources_hash
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.tasks import definition, get_task

TrialOutcome = tuple[TrialStatus, str, TrialResult | None]
"""How a trial ended, why it failed or diverged (else empty), and its result."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One measurement.

    Attributes:
        key: what determines its result, and names its record.
        run: makes the measurement. It is handed the record of `after`, if there is that.
        implementation: what computes it.
        after: the trial whose record it is handed, None if that is missing; None for no trial.
    """

    key: TrialKey
    run: Callable[..., TrialOutcome]
    implementation: Any = None
    after: TrialKey | None = None


def trial_key(
    entry: DiscoveredImplementation,
    trial: TrialKind,
    optimizer: OptimizerId,
    spec: OptimizerSpec | None,
    task: str,
    seed: int,
    dtype: str,
    **fields: Any,
) -> TrialKey:
    """The key of a trial.

    Args:
        entry: the implementation.
        trial: the kind of trial.
        optimizer: the optimizer's role and name.
        spec: the optimizer; None if there are several.
        task: the task's name.
        seed: the seed of the problems.
        dtype: the floating-point type of the computation.
        fields: fields of the key that only this kind of trial has.
    """
    return TrialKey(
        trial=trial,
        implementation=entry.name,
        source=entry.source,
        versions=versions_of(entry.implementation),
        code=code_hash(),
        sources=sources_hash(entry.implementation, entry.source),
        optimizer=optimizer,
        weights=weights_hash(spec) if spec is not None else None,
        task=task,
        problems=definition(get_task(task)),
        seed=seed,
        dtype=dtype,
        device="cpu",
        **fields,
    )


@dataclasses.dataclass(frozen=True)
class Learned:
    """A learned optimizer on the task that it was meta-trained on.

    Attributes:
        name: the checkpoint's name.
        spec: the optimizer, rounded to float64.
        task: the task.
        meta_training: what its file says about its meta-training.
    """

    name: str
    spec: OptimizerSpec
    task: str
    meta_training: Mapping[str, Any]

    @property
    def optimizer(self) -> OptimizerId:
        """Its role and name."""
        return OptimizerId(role=Role.CHECKPOINT, name=self.name)


def learned(checkpoints: Mapping[str, Checkpoint], tasks: Iterable[str]) -> list[Learned]:
    """The checkpoints that were meta-trained on one of the tasks, in the order of the tasks."""
    return [
        Learned(name, checkpoint.optimizer.rounded_to("float64"), task, checkpoint.meta_training)
        for task in tasks
        for name, checkpoint in checkpoints.items()
        if checkpoint.task == task
    ]


def bind(function: Callable[..., TrialOutcome], *arguments: Any) -> Callable[..., TrialOutcome]:
    """A trial's `run` from a function and its first arguments."""
    return functools.partial(function, *arguments)


def comparison_result(comparison: Comparison, by_step: bool = False) -> ComparisonResult:
    """A comparison as a store holds it, with errors and bounds at each step if `by_step`."""
    return ComparisonResult(
        quantity=comparison.quantity,
        ratio=comparison.ratio,
        error=float(np.max(comparison.error, initial=0.0)),
        bound=float(np.min(comparison.bound, initial=np.inf)),
        deviation=comparison.deviation,
        error_by_step=comparison.error if by_step else None,
        bound_by_step=comparison.bound if by_step else None,
    )
