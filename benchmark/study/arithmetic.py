"""What float32 changes: the statistics of evaluations in both arithmetics, on the same problems."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.discovery import get_implementation
from loptbench.optimizers import OptimizerSpec
from loptbench.rollout.evaluation import evaluate
from loptbench.rollout.held_out import ORACLE_DTYPE, held_out
from loptbench.statistics.bootstrap import OfProblems, Sample, over_problems
from loptbench.statistics.ratios import (
    MedianRatio,
    ProbabilityOfImprovement,
    RatioOfTrimmedMeans,
)
from loptbench.tasks import Task
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import names, shipped

Float = NDArray[np.float64]

NEGLIGIBLE = 0.01
"""A change by less than this share of the interval's width changes nothing that is reported."""


@dataclasses.dataclass(frozen=True)
class Change:
    """What float32 changes about one statistic of one optimizer.

    Attributes:
        optimizer: the optimizer.
        implementation: the implementation that computed it.
        statistic: the statistic; ratios are to the best tuned baseline, in float64.
        value: the statistic in float64.
        width: the width of its 95 % interval over problems, in float64.
        change: the largest change of the statistic and of the ends of its interval, absolute.
    """

    optimizer: str
    implementation: str
    statistic: str
    value: float
    width: float
    change: float

    @property
    def share(self) -> float:
        """The change over the width.

        >>> Change("sgd", "jax", "mean", 0.5, 2.0, 0.5).share
        0.25
        """
        return self.change / self.width if self.change else 0.0


ALONE: dict[str, Callable[[Float, Float], OfProblems]] = {"mean": Sample, "median": MedianRatio}
"""Statistics of one optimizer: those of its ratio to one."""

TO_BASELINE: dict[str, Callable[[Float, Float], OfProblems]] = {
    "ratio of means": Sample,
    "ratio of trimmed means": RatioOfTrimmedMeans,
    "median ratio": MedianRatio,
    "probability of improvement": ProbabilityOfImprovement,
}


def changes(
    optimizer: str,
    implementation: str,
    in_float32: Float,
    in_float64: Float,
    baseline: Float | None = None,
) -> Iterator[Change]:
    """The change of each statistic.

    Args:
        optimizer: the name of the optimizer.
        implementation: the name of the implementation.
        in_float32: its meta-objectives in float32, (n_problems,).
        in_float64: the same in float64.
        baseline: those of the baseline in float64; None for the statistics of one optimizer alone.
    """
    one = np.ones_like(in_float64)
    rows = [(name, statistic, one) for name, statistic in ALONE.items()]
    if baseline is not None:
        rows += [(name, statistic, baseline) for name, statistic in TO_BASELINE.items()]
    for name, statistic, other in rows:
        with np.errstate(invalid="ignore"):
            before = over_problems(statistic(in_float64, other))
            after = over_problems(statistic(in_float32, other))
            ends = [
                abs(getattr(after, end) - getattr(before, end)) for end in ("value", "low", "high")
            ]
        yield Change(
            optimizer, implementation, name, before.value, before.high - before.low, max(ends)
        )


def arithmetic(task: Task, n_problems: int | None = None) -> Iterator[Change]:
    """What float32 changes on every shipped learned optimizer and tuned baseline of a task.

    Learned optimizers are run by the implementation that meta-trained them, baselines by each of
    these.

    Args:
        task: the task.
        n_problems: the number of held-out problems; those of an evaluation if None.

    Raises:
        LoptbenchError: an implementation is not installed.
    """
    checkpoints = {name: shipped(name) for name in names()}
    learned = {
        name: (str(checkpoint.meta_training["implementation"]), checkpoint.optimizer)
        for name, checkpoint in checkpoints.items()
        if checkpoint.task == task.name
    }
    for used in sorted({implementation for implementation, _ in learned.values()}):
        implementation = get_implementation(used)
        size = n_problems or held_out(task.name, implementation).n_problems
        baselines = {
            entry.kind: (entry.spec, _objective(implementation, entry.spec, task, size))
            for entry in load_tuned().of(task)
        }
        best = min(
            (objective for _, objective in baselines.values()), key=lambda x: float(x.mean())
        )
        for kind, (spec, in_float64) in baselines.items():
            in_float32 = _objective(implementation, spec, task, size, "float32")
            yield from changes(kind, used, in_float32, in_float64)
        for name, (trained_by, spec) in learned.items():
            if trained_by == used:
                in_float64 = _objective(implementation, spec, task, size)
                in_float32 = _objective(implementation, spec, task, size, "float32")
                yield from changes(name, used, in_float32, in_float64, best)


def _objective(
    implementation: Any,
    spec: OptimizerSpec,
    task: Task,
    n_problems: int,
    dtype: str = ORACLE_DTYPE,
) -> Float:
    """The meta-objective of each held-out problem, (n_problems,)."""
    batch = task.sample("evaluate", 0, range(n_problems))
    return evaluate(implementation, spec.rounded_to(dtype), batch, task.n_steps, dtype).objective
