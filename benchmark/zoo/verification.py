"""Verification of the zoo: evaluate each checkpoint again and compare with what it records."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from loptbench.discovery import get_implementation
from loptbench.optimizers import OptimizerSpec
from loptbench.results.frames import best_baselines
from loptbench.results.schema.evaluation import Estimate, Evaluation
from loptbench.rollout.evaluation import evaluate, paired_ratios
from loptbench.rollout.held_out import PAPER
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
    """What one process evaluates: an optimizer on the held-out problems of a task.

    Attributes:
        implementation: the name of the implementation that computes.
        task: the task's name.
        optimizer: a checkpoint's name, which is also validated, or the kind of a tuned baseline.
        baseline: the tuned baseline; None for a checkpoint.
    """

    implementation: str
    task: str
    optimizer: str
    baseline: OptimizerSpec | None = None


class Outcome(NamedTuple):
    """The evaluations of `Runs`.

    Attributes:
        held_out: on 128 held-out problems.
        validation: the mean on the validation problems; NaN for a baseline.
    """

    held_out: Evaluation
    validation: float


Evaluate = Callable[[Callable[[Runs], Outcome], Iterable[Runs]], Iterator[Outcome]]
"""Applies a function to each of the runs, in their order, as `map` does."""


def verify(
    members: Iterable[Member], tuned: Tuned, using: str | None, evaluate_all: Evaluate = map
) -> Iterator[Verification]:
    """Evaluate checkpoints on their validation problems and on 128 held-out ones, in float32.

    Args:
        members: the checkpoints.
        tuned: the tuned baselines.
        using: name of the implementation that computes; None for the one that meta-trained each.
        evaluate_all: what evaluates the runs, such as `map`, or processes side by side.

    Raises:
        WeightsError: a file is damaged.
        LoptbenchError: the implementation is not installed.
    """
    members = list(members)
    learned = [Runs(using or m.implementation, m.task, m.name) for m in members]
    places = dict.fromkeys((runs.implementation, runs.task) for runs in learned)
    baselines = [
        Runs(implementation, task, entry.kind, entry.spec)
        for implementation, task in places
        for entry in tuned.of(get_task(task))
    ]
    for implementation, _ in places:
        get_implementation(implementation)  # raises here if it is not installed
    outcomes = evaluate_all(run_again, [*baselines, *learned])
    evaluations: dict[tuple[str, str], dict[str, Evaluation]] = {place: {} for place in places}
    for runs in baselines:
        evaluation = next(outcomes).held_out
        evaluations[runs.implementation, runs.task][runs.optimizer] = evaluation
    for member, runs, outcome in zip(members, learned, outcomes, strict=True):
        checkpoint = shipped(member.name)
        place = (runs.implementation, runs.task)
        best = _best_baseline(*place, evaluations[place])
        yield Verification(
            member,
            checkpoint.sha256,
            float(checkpoint.meta_training["best_validation"]),
            outcome.validation,
            float(np.mean(outcome.held_out.objective)),
            outcome.held_out.n_diverged,
            best,
            paired_ratios(outcome.held_out, evaluations[place][best]).of_means,
        )


def run_again(runs: Runs) -> Outcome:
    """Evaluate one optimizer.

    Raises:
        WeightsError: the checkpoint's file is damaged.
    """
    implementation = get_implementation(runs.implementation)
    if runs.baseline is not None:
        return Outcome(_held_out(implementation, runs.baseline, runs.task), np.nan)
    checkpoint = shipped(runs.optimizer)
    evaluation = _held_out(implementation, checkpoint.optimizer, runs.task)
    return Outcome(evaluation, _validation(implementation, checkpoint))


def _best_baseline(implementation: str, task: str, baselines: Mapping[str, Evaluation]) -> str:
    """The kind of the best tuned baseline."""
    from pandas import DataFrame

    means = {kind: float(np.mean(baseline.objective)) for kind, baseline in baselines.items()}
    rows = DataFrame({"optimizer": means.keys(), "objective_mean": means.values()})
    rows = rows.assign(implementation=implementation, task=task, role="tuned")
    return str(best_baselines(rows)["optimizer"].item())


def _held_out(implementation: Any, spec: Any, task_name: str) -> Evaluation:
    task = get_task(task_name)
    batch = task.sample("evaluate", 0, range(PAPER))
    return evaluate(implementation, spec, batch, task.n_steps, "float32")


def _validation(implementation: Any, checkpoint: Checkpoint) -> float:
    config = MetaTraining.model_validate(recorded_configuration(checkpoint.meta_training))
    evaluation = evaluate(
        implementation,
        checkpoint.optimizer,
        validation_batch(config),
        config.n_steps,
        config.dtype,
    )
    return float(np.mean(evaluation.objective))
