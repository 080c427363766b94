"""The coverage of intervals on the losses of shipped optimizers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.discovery import get_implementation
from loptbench.engines.choice import make_engine
from loptbench.rollout.evaluation import evaluate
from loptbench.statistics.coverage import METHODS, STATISTICS, Coverage, coverage
from loptbench.tasks import get_task
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import names, shipped

Float = NDArray[np.float64]

POPULATION_SEED = 1
"""The seed of the population's problems; evaluations have seed 0."""


def population(task_name: str, optimizer: str, n_problems: int, implementation: str) -> Float:
    """The meta-objectives of a shipped optimizer on many problems, in float64, (n_problems,).

    Args:
        task_name: the task.
        optimizer: the name of a checkpoint, or the kind of a tuned baseline.
        n_problems: the number of problems.
        implementation: the name of the implementation that computes.

    Raises:
        LoptbenchError: there is no such optimizer, or the implementation is not installed.
    """
    task = get_task(task_name)
    tuned = {entry.kind: entry.spec for entry in load_tuned().of(task)}
    spec = tuned[optimizer] if optimizer in tuned else shipped(optimizer).optimizer
    batch = task.sample("evaluate", POPULATION_SEED, range(n_problems))
    computing = get_implementation(implementation)
    return evaluate(computing, spec.rounded_to("float64"), batch, task.n_steps, "float64").objective


def optimizers(task_name: str) -> list[str]:
    """The names that `population` knows on a task."""
    tuned = [entry.kind for entry in load_tuned().of(get_task(task_name))]
    return [*tuned, *(name for name in names() if shipped(name).task == task_name)]


def coverages(
    a: Float,
    b: Float,
    sizes: Sequence[int],
    n_samples: int,
    n_resamples: int,
    jobs: int = 1,
) -> Iterator[Coverage]:
    """The coverage of every statistic by every kind of interval, in several processes.

    Args:
        a: the meta-objectives of one optimizer on the population.
        b: those of the other on the same problems.
        sizes: the numbers of problems of a sample.
        n_samples: the number of samples of each size.
        n_resamples: the number of resamples of each sample.
        jobs: the number of processes.
    """
    calls = [
        (a, b, statistic, method, size, n_samples, n_resamples)
        for size in sizes
        for statistic in STATISTICS
        for method in METHODS
    ]
    with make_engine(jobs=jobs) as engine:
        yield from engine.map(_coverage, calls)


def _coverage(arguments: tuple[Any, ...]) -> Coverage:
    return coverage(*arguments)
