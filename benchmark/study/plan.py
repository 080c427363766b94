"""The plan of a run: its trials."""

from collections.abc import Collection, Iterable, Mapping

from loptbench.discovery import DiscoveredImplementation
from loptbench.storage.weights import Checkpoint
from loptbench.study.conformance import conformance_trials
from loptbench.study.evaluation import evaluation_trials
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
) -> list[Trial]:
    """The trials of all implementations that are installed.

    Args:
        entries: the implementations.
        checkpoints: the learned optimizers, by name.
        tuned: the baselines.
        seed: the seed of the held-out problems and of the random optimizers.
        tasks: the names of the tasks to run.
        checked: the checkpoints that every implementation measures, to be cross-checked; all if
            None. The others are measured once, by the implementation that meta-trained them.
    """
    if checked is None:
        checked = checkpoints
    shared = {name: checkpoint for name, checkpoint in checkpoints.items() if name in checked}
    entries = list(entries)
    judging = judging_implementations(entries, checkpoints, shared)
    trials: list[Trial] = []
    oracle, baselines_are_measured = OracleAnalyses(), False
    for entry in entries:
        if entry.implementation is not None:
            measured = {
                name: checkpoint
                for name, checkpoint in checkpoints.items()
                if name in shared or checkpoint.meta_training.get("implementation") == entry.name
            }
            trials += conformance_trials(entry, shared, seed)
            if "float64" in entry.implementation.dtypes:
                judged = [name for name in measured if judging.get(name) == entry.name]
                trials += evaluation_trials(entry, measured, judged, tuned, seed, tasks)
                # The first implementation measures the baselines; the rest would measure the same.
                baselines = None if baselines_are_measured else tuned
                baselines_are_measured = True
                trials += mechanism_trials(entry, measured, shared, baselines, seed, tasks, oracle)
    return [trial for trial in trials if trial.key.task in tasks]


def judging_implementations(
    entries: Iterable[DiscoveredImplementation],
    checkpoints: Mapping[str, Checkpoint],
    shared: Collection[str],
) -> dict[str, str]:
    """The implementation that the verdicts on each checkpoint rest on, by the checkpoint's name.

    It is the one that meta-trained the checkpoint, or the first that measures it where that one
    takes no part, as in `loptbench.claims.evidence`.

    Args:
        entries: the implementations that take part, in order.
        checkpoints: the learned optimizers, by name.
        shared: the names of those that every implementation measures.
    """
    judging: dict[str, str] = {}
    for entry in entries:
        offered = entry.implementation
        if offered is None or "float64" not in offered.dtypes:
            continue
        for name, checkpoint in checkpoints.items():
            is_own = checkpoint.meta_training.get("implementation") == entry.name
            offers = (
                checkpoint.optimizer.kind in offered.optimizers and checkpoint.task in offered.tasks
            )
            if offers and (is_own or (name in shared and name not in judging)):
                judging[name] = entry.name
    return judging
