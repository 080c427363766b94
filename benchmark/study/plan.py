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
                trials += evaluation_trials(entry, measured, tuned, seed, tasks)
                # The first implementation measures the baselines; the rest would measure the same.
                baselines = None if baselines_are_measured else tuned
                baselines_are_measured = True
                trials += mechanism_trials(entry, measured, shared, baselines, seed, tasks, oracle)
    return [trial for trial in trials if trial.key.task in tasks]
