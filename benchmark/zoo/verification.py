"""Evaluating the zoo again, from its bytes: does every file do what it says?"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from loptbench.discovery import get_implementation
from loptbench.results.schema.evaluation import Evaluation, Ratio
from loptbench.rollout.evaluation import evaluate, paired_ratio
from loptbench.storage.weights import Checkpoint
from loptbench.tasks import get_task
from loptbench.training.loop import validation_batch
from loptbench.training.settings import MetaTraining, recorded_configuration
from loptbench.tuning.tuned_file import Tuned
from loptbench.zoo.catalogue import Member, shipped

N_PROBLEMS = 128
SAME_VALIDATION = 0.01
"""How far the validation may be from the recorded one, relatively: the runs of trained optimizers
magnify what is rounded in float32, and another machine or release rounds otherwise. It is less than
the standard error of a mean over these problems. It does not tell two seeds apart, which can
validate alike: that a file's weights are its own, their hash says."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """One file, evaluated again.

    Attributes:
        member: which.
        sha256: the hash of its weights, which has been found to be that of its bytes.
        recorded: the validation meta-objective that the file names.
        validation: the same, computed now.
        objective: the mean meta-objective on the held-out problems.
        n_diverged: how many of these runs diverged.
        baseline: the best tuned baseline on these problems.
        ratio: to that baseline, with a paired bootstrap interval, `low` to `high`.
    """

    member: Member
    sha256: str
    recorded: float
    validation: float
    objective: float
    n_diverged: int
    baseline: str
    ratio: Ratio

    @property
    def as_recorded(self) -> bool:
        """Whether the file does what it says."""
        return abs(self.validation - self.recorded) <= SAME_VALIDATION * self.recorded

    @property
    def better(self) -> bool:
        """Whether it beats the best tuned baseline, the whole interval below 1."""
        return self.ratio.high < 1


def verify(members: Iterable[Member], tuned: Tuned, using: str | None) -> Iterator[Verification]:
    """Evaluate each on its validation problems and on the held-out ones, seed 0, in float32.

    Args:
        members: which.
        tuned: the baselines.
        using: the implementation that computes; None for the one that meta-trained each.

    Raises:
        WeightsError: a file is damaged.
        LoptbenchError: the implementation is not installed.
    """
    baselines: dict[tuple[str, str], dict[str, Evaluation]] = {}
    for member in members:
        checkpoint = shipped(member.name)
        one = get_implementation(using or member.implementation)
        key = (one.name, member.task)
        if key not in baselines:
            entries = tuned.of(get_task(member.task))
            baselines[key] = {e.kind: _held_out(one, e.spec, member.task) for e in entries}
        found = _held_out(one, checkpoint.optimizer, member.task)
        best = min(baselines[key], key=lambda kind: float(np.mean(baselines[key][kind].objective)))
        yield Verification(
            member,
            checkpoint.sha256,
            float(checkpoint.meta_training["best_validation"]),
            _validation(one, checkpoint),
            float(np.mean(found.objective)),
            found.n_diverged,
            best,
            paired_ratio(found, baselines[key][best]),
        )


def _held_out(implementation: Any, spec: Any, task_name: str) -> Evaluation:
    task = get_task(task_name)
    batch = task.sample("evaluate", 0, range(N_PROBLEMS))
    return evaluate(implementation, spec, batch, task.n_steps, "float32")


def _validation(implementation: Any, checkpoint: Checkpoint) -> float:
    config = MetaTraining.model_validate(recorded_configuration(checkpoint.meta_training))
    found = evaluate(
        implementation,
        checkpoint.optimizer,
        validation_batch(config),
        config.n_steps,
        config.dtype,
    )
    return float(np.mean(found.objective))
