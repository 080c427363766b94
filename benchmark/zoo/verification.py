"""Verification of the zoo: evaluate each checkpoint again and compare with what it records."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from loptbench.discovery import get_implementation
from loptbench.optimizers import OptimizerSpec
from loptbench.results.frames import best_baselines
from loptbench.results.schema.evaluation import Estimate, Evaluation
from loptbench.rollout.evaluation import evaluate, paired_ratios
from loptbench.storage.weights import Checkpoint
from loptbench.tasks import get_task
from loptbench.training.loop import validation_batch
from loptbench.training.settings import MetaTraining, recorded_configuration
from loptbench.tuning.tuned_file import Tuned
from loptbench.zoo.catalogue import Member, shipped

VALIDATION_TOLERANCE = 0.01
"""Relative tolerance of a validation against the recorded one. Runs of trained optimizers amplify
the rounding of float32, which differs between machines and releases. The tolerance is less than the
standard error of a mean over these problems. It does not tell two seeds apart; the hash does."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """A checkpoint, evaluated again.

    Attributes:
        member: the checkpoint.
        sha256: the hash of its weights, validated when it is read.
        recorded: the validation meta-objective that the file records.
        validation: the same, computed now.
        objective: mean meta-objective on the held-out problems.
        n_diverged: number of held-out problems on which it diverged.
        baseline: the best tuned baseline on these problems.
        ratio: ratio of mean meta-objectives to that baseline, with a paired bootstrap interval,
            `low` to `high`.
    """

    member: Member
    sha256: str
    recorded: float
    validation: float
    objective: float
    n_diverged: int
    baseline: str
    ratio: Estimate

    @property
    def as_recorded(self) -> bool:
        """Whether the validation is the recorded one, within the tolerance."""
        return abs(self.validation - self.recorded) <= VALIDATION_TOLERANCE * self.recorded

    @property
    def better(self) -> bool:
        """Whether the whole interval of the ratio to the best tuned baseline is below 1."""
        return self.ratio.high < 1


class Runs(NamedTuple):
    """What one process evaluates: an optimizer on the held-out or on the validation problems.

    Attributes:
        implementation: the name of the implementation that computes.
        task: the task's name.
        optimizer: a checkpoint's name, or the kind of a tuned baseline.
        n_held_out: the number of held-out problems; None for the checkpoint's validation problems.
        baseline: the tuned baseline; None for a checkpoint.
    """

    implementation: str
    task: str
    optimizer: str
    n_held_out: int | None
    baseline: OptimizerSpec | None = None


Evaluate = Callable[[Callable[[Runs], Evaluation], Iterable[Runs]], Iterator[Evaluation]]
"""Applies a function to each of the runs, in their order, as `map` does."""


def verify(
    members: Iterable[Member], tuned: Tuned, using: str | None, evaluate_all: Evaluate = map
) -> Iterator[Verification]:
    """Evaluate checkpoints on their validation problems and on as many held-out ones, in float32.

    A checkpoint is validated in the implementation that meta-trained it. Held-out problems are run
    in one implementation per task, the one that meta-trained the first checkpoint there: all
    optimizers of a task are compared in the same arithmetic, and baselines are run once.

    Args:
        members: the checkpoints.
        tuned: the tuned baselines.
        using: name of the implementation that computes everything instead.
        evaluate_all: what evaluates the runs, such as `map`, or processes side by side.

    Raises:
        WeightsError: a file is damaged.
        LoptbenchError: an implementation is not installed.
    """
    members = list(members)
    validates = [using or member.implementation for member in members]
    for name in dict.fromkeys(validates):
        get_implementation(name)  # raises here if it is not installed
    runs_held_out: dict[str, str] = {}
    n_held_out: dict[str, int] = {}
    for member, implementation in zip(members, validates, strict=True):
        n_problems = _configuration(shipped(member.name)).validation_size
        runs_held_out.setdefault(member.task, implementation)
        n_held_out[member.task] = max(n_problems, n_held_out.get(member.task, 0))
    baselines = [
        Runs(implementation, task, entry.kind, n_held_out[task], entry.spec)
        for task, implementation in runs_held_out.items()
        for entry in tuned.of(get_task(task))
    ]
    learned = [
        runs
        for m, implementation in zip(members, validates, strict=True)
        for runs in (
            Runs(implementation, m.task, m.name, None),
            Runs(runs_held_out[m.task], m.task, m.name, n_held_out[m.task]),
        )
    ]
    outcomes = iter(evaluate_all(run_again, [*baselines, *learned]))
    evaluations: dict[str, dict[str, Evaluation]] = {task: {} for task in runs_held_out}
    for runs in baselines:
        evaluations[runs.task][runs.optimizer] = next(outcomes)
    for member in members:
        validation, held_out = next(outcomes), next(outcomes)
        checkpoint = shipped(member.name)
        best = _best_baseline(runs_held_out[member.task], member.task, evaluations[member.task])
        yield Verification(
            member,
            checkpoint.sha256,
            float(checkpoint.meta_training["best_validation"]),
            float(np.mean(validation.objective)),
            float(np.mean(held_out.objective)),
            held_out.n_diverged,
            best,
            paired_ratios(held_out, evaluations[member.task][best]).of_means,
        )


def run_again(runs: Runs) -> Evaluation:
    """Evaluate one optimizer.

    Raises:
        WeightsError: the checkpoint's file is damaged.
    """
    implementation = get_implementation(runs.implementation)
    spec = runs.baseline or shipped(runs.optimizer).optimizer
    if runs.n_held_out is None:
        config = _configuration(shipped(runs.optimizer))
        return evaluate(
            implementation, spec, validation_batch(config), config.n_steps, config.dtype
        )
    task = get_task(runs.task)
    batch = task.sample("evaluate", 0, range(runs.n_held_out))
    return evaluate(implementation, spec, batch, task.n_steps, "float32")


def _best_baseline(implementation: str, task: str, baselines: Mapping[str, Evaluation]) -> str:
    """The kind of the best tuned baseline."""
    from pandas import DataFrame

    means = {kind: float(np.mean(baseline.objective)) for kind, baseline in baselines.items()}
    rows = DataFrame({"optimizer": means.keys(), "objective_mean": means.values()})
    rows = rows.assign(implementation=implementation, task=task, role="tuned")
    return str(best_baselines(rows)["optimizer"].item())


def _configuration(checkpoint: Checkpoint) -> MetaTraining:
    """The settings with which a checkpoint was meta-trained."""
    return MetaTraining.model_validate(recorded_configuration(checkpoint.meta_training))
