"""The plan of a run: its trials."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from loptbench.discovery import ORACLE, DiscoveredImplementation
from loptbench.storage.weights import Checkpoint
from loptbench.study.adapted import AdaptedOptimizer, adapted_mechanisms, measured_by
from loptbench.study.confirmation import without_kept
from loptbench.study.conformance import conformance_trials
from loptbench.study.evaluation import NO_LIMIT, evaluation_trials
from loptbench.study.mechanisms import OracleAnalyses, mechanism_trials
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS
from loptbench.tuning.tuned_file import Tuned


def plan(
    entries: Iterable[DiscoveredImplementation],
    checkpoints: Mapping[str, Checkpoint],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str] = tuple(TASKS),
    checked: Collection[str] | None = None,
    max_problems: Mapping[str, int] = NO_LIMIT,
    adapted: Sequence[AdaptedOptimizer] = (),
    confirm: bool = False,
) -> list[Trial]:
    """The trials of all implementations that are installed.

    The trials of one implementation do not depend on which others come before it, nor on what they
    offer: each measures whatever it offers itself. It runs all held-out problems of a checkpoint
    that it meta-trained, or that the one that meta-trained it does not measure: verdicts may rest
    on these runs, as in `loptbench.claims.evidence`.

    The oracle measures the mechanisms of baselines only on tasks on which it measures a learned
    optimizer. Elsewhere they would be compared with nothing.

    Args:
        entries: the implementations.
        checkpoints: the learned optimizers, by name.
        tuned: the baselines.
        seed: the seed of the held-out problems and of the random optimizers.
        tasks: the names of the tasks to run.
        checked: the checkpoints that every implementation measures, to be cross-checked; all if
            None. The others are measured once, by the implementation that meta-trained them.
        max_problems: the largest number of problems of an evaluation, by task.
        adapted: the adapted optimizers. Each is measured on the problems of one implementation.
        confirm: whether mechanisms are measured that are kept for the confirmation of the claims.
    """
    if checked is None:
        checked = checkpoints
    shared = {name: checkpoint for name, checkpoint in checkpoints.items() if name in checked}
    entries = list(entries)
    adapted_of = measured_by(entries, adapted)
    own = {entry.name: entry.implementation for entry in entries}
    trials: list[Trial] = []
    oracle = OracleAnalyses()
    for entry in entries:
        if entry.implementation is not None:
            measured = {
                name: checkpoint
                for name, checkpoint in checkpoints.items()
                if name in shared or trained_by(checkpoint) == entry.name
            }
            trials += conformance_trials(entry, shared, seed)
            if "float64" in entry.implementation.dtypes:
                judged = [
                    name
                    for name, checkpoint in measured.items()
                    if trained_by(checkpoint) == entry.name
                    or not measures(own.get(trained_by(checkpoint)), checkpoint)
                ]
                beside = adapted_of.get(entry.name, [])
                trials += evaluation_trials(
                    entry, measured, judged, tuned, seed, tasks, max_problems, beside
                )
                trials += adapted_mechanisms(entry, beside, seed)
                probed = tasks
                if entry.name == ORACLE:
                    learned_on = {checkpoint.task for checkpoint in measured.values()}
                    probed = [task for task in tasks if task in learned_on]
                looked_at = measured if confirm else without_kept(measured)
                trials += mechanism_trials(entry, looked_at, shared, tuned, seed, probed, oracle)
    return [trial for trial in trials if trial.key.task in tasks]


def trained_by(checkpoint: Checkpoint) -> str:
    """The name of the implementation that meta-trained a checkpoint; empty if it is not known."""
    return str(checkpoint.meta_training.get("implementation") or "")


def measures(implementation: Any, checkpoint: Checkpoint) -> bool:
    """Whether an implementation offers what the measurement of a checkpoint needs.

    Args:
        implementation: the implementation; None if it takes no part.
        checkpoint: the learned optimizer.
    """
    return (
        implementation is not None
        and "float64" in implementation.dtypes
        and checkpoint.optimizer.kind in implementation.optimizers
        and checkpoint.task in implementation.tasks
    )
