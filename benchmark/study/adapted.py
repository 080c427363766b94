"""Adapted optimizers in a study: which there are, on which tasks, and their mechanisms."""

import dataclasses
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loptbench.adapters import AdapterWarning
from loptbench.adapters.implementation import AdaptingImplementation
from loptbench.adapters.kinds import NO_SETTINGS, AdaptedKind
from loptbench.discovery import DiscoveredImplementation
from loptbench.errors import LoptbenchError
from loptbench.mechanisms.analysis import analysis_size, measure
from loptbench.mechanisms.dynamics.contract import checked
from loptbench.optimizers import HYPERPARAMETERS, OptimizerSpec
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.records import TrialStatus
from loptbench.results.sources import module_hash
from loptbench.rollout.held_out import ORACLE_DTYPE
from loptbench.storage.weights import weights_hash
from loptbench.study.trials import Trial, TrialOutcome, bind, trial_key
from loptbench.tasks import get_task
from loptbench.tuning.tuned_file import Tuned, TunedBaseline
from loptbench.zoo.catalogue import names

LIBRARIES = ("torch.optim", "optax")
"""Modules whose optimizers a file may name. What is in others is imported only if a user names it,
since importing runs it."""


@dataclasses.dataclass(frozen=True)
class AdaptedOptimizer:
    """An adapted optimizer on a task.

    Attributes:
        kind: its kind.
        spec: the optimizer.
        task: the task's name.
        tuned: how it was tuned; None if its settings were given.
    """

    kind: AdaptedKind
    spec: OptimizerSpec
    task: str
    tuned: TunedBaseline | None = None

    @property
    def optimizer(self) -> OptimizerId:
        """Its role and name."""
        return OptimizerId(role=Role.ADAPTED, name=self.kind.name)

    def on(self, implementation: Any) -> AdaptingImplementation:
        """What computes it on the problems of an implementation."""
        return AdaptingImplementation(implementation, [self.kind])


def parse_optimizers(
    optimizers: Collection[str], settings: Mapping[str, Any] = NO_SETTINGS
) -> list[AdaptedKind]:
    """The kinds of optimizers that a user names.

    Args:
        optimizers: names such as `torch.optim:AdamW` or `optax:lion(learning_rate=1e-4)`.
        settings: further settings, of a single one.

    Raises:
        LoptbenchError: a name is that of another thing, or of nothing.
    """
    if settings and len(optimizers) != 1:
        given = ", ".join(settings)
        raise LoptbenchError(
            f"settings ({given}) are of one optimizer, but {len(optimizers)} are named; write them "
            f"as in optax:lion(learning_rate=1e-4)"
        )
    for name in optimizers:
        kind = name.partition(":")[0]
        if kind in HYPERPARAMETERS:
            raise LoptbenchError(
                f"{name!r} is a baseline: a run has those of the tuned file; 'loptbench analyze "
                f"{name}' measures it with other hyperparameters"
            )
        if name in names() or Path(name).suffix == ".safetensors":
            raise LoptbenchError(f"{name!r} is a checkpoint: name it with --checkpoint")
    return [AdaptedKind.parse(name, settings) for name in dict.fromkeys(optimizers)]


def select_adapted(
    kinds: Sequence[AdaptedKind], tuned: Tuned, tasks: Sequence[str]
) -> list[AdaptedOptimizer]:
    """The adapted optimizers of a study: those that are named, and those of the tuned file.

    One that is named without settings is that of the file, if the file has it.

    Args:
        kinds: those that are named.
        tuned: the file.
        tasks: the names of the tasks.

    Raises:
        NotComponentWiseError: one is not component-wise.
        LoptbenchError: one cannot be made, or the file names what is not of a known library.
    """
    from_file = []
    named = {kind.path for kind in kinds}
    for task in tasks:
        for entry in tuned.adapted(get_task(task)):
            kind = AdaptedKind.parse(entry.kind)
            if kind.path.partition(":")[0] not in LIBRARIES and kind.path not in named:
                raise LoptbenchError(
                    f"{tuned.source} names {kind.path}, which would be imported: name it as well, "
                    f"as in 'loptbench run {kind.path} --tuned FILE'"
                )
            from_file.append(AdaptedOptimizer(kind, entry.spec, task, entry))
    searched = {item.kind.path for item in from_file}
    for kind in kinds:
        if kind.hyperparameters and kind.path not in searched:
            raise LoptbenchError(
                f"{kind.name}: give a value of {', '.join(kind.hyperparameters)}, or the file of "
                "'loptbench tune' with --tuned"
            )
    fixed = [
        AdaptedOptimizer(kind, kind.spec({}), task)
        for kind in kinds
        if kind.settings or kind.path not in searched
        for task in tasks
    ]
    selected = [*fixed, *from_file]
    different = {weights_hash(item.spec): item for item in selected}
    for item in different.values():
        item.kind.optimizer(item.spec.parameters)  # an error comes before anything is measured
    return selected


def adapted_key(
    entry: DiscoveredImplementation,
    trial: TrialKind,
    adapted: AdaptedOptimizer,
    seed: int,
    **fields: Any,
) -> TrialKey:
    """The key of a trial of an adapted optimizer; the arguments are those of `trial_key`."""
    computing = dataclasses.replace(entry, implementation=adapted.on(entry.implementation))
    key = trial_key(
        *(computing, trial, adapted.optimizer, adapted.spec, adapted.task, seed, ORACLE_DTYPE),
        **fields,
    )
    own = module_hash(adapted.kind.path.partition(":")[0])
    found = [digest for digest in (key.sources, own) if digest]
    return key.model_copy(update={"sources": "+".join(found) or None})


def adapted_mechanisms(
    entry: DiscoveredImplementation, adapted: Sequence[AdaptedOptimizer], seed: int
) -> Iterator[Trial]:
    """The mechanism trials of adapted optimizers, as `loptbench.analyze` measures them.

    Args:
        entry: the implementation whose problems they run on.
        adapted: the optimizers.
        seed: the seed of the problems.
    """
    for item in adapted:
        key = adapted_key(
            *(entry, TrialKind.MECHANISMS, item, seed),
            n_problems=analysis_size(item.spec.n_state, item.task),
        )
        yield Trial(key, bind(_measure, entry.implementation, item, seed), entry.implementation)


def _measure(implementation: Any, adapted: AdaptedOptimizer, seed: int) -> TrialOutcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AdapterWarning)  # said when it was selected
        optimizer = adapted.kind.optimizer(adapted.spec.parameters)
    with checked(optimizer) as brought:
        measurement = measure(brought, adapted.task, seed, implementation)
    return TrialStatus.OK, "", measurement.analysis


def measured_by(
    entries: Sequence[DiscoveredImplementation], adapted: Sequence[AdaptedOptimizer]
) -> dict[str, list[AdaptedOptimizer]]:
    """The adapted optimizers by the implementation on whose problems they run.

    That is the first one that offers the task in their arithmetic. Their own library computes their
    steps, so further ones would say nothing new about them.
    """
    of_entry: dict[str, list[AdaptedOptimizer]] = {}
    for item in adapted:
        for entry in entries:
            implementation = entry.implementation
            if (
                implementation is not None
                and ORACLE_DTYPE in implementation.dtypes
                and item.task in implementation.tasks
            ):
                of_entry.setdefault(entry.name, []).append(item)
                break
    return of_entry
