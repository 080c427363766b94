"""The evaluation trials: learned optimizers and tuned baselines on held-out problems."""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison
from loptbench.agreement.losses import compare_losses, draw_problems
from loptbench.discovery import DiscoveredImplementation, oracle
from loptbench.optimizers import OptimizerSpec, optimal_momentum
from loptbench.results.schema.evaluation import (
    BaselineEvaluation,
    BaselinesResult,
    Evaluation,
    LearnedResult,
    MetaTraining,
    Tuning,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.records import TrialStatus
from loptbench.rollout.evaluation import evaluated_losses, paired_ratios, summarize
from loptbench.rollout.held_out import ORACLE_DTYPE, PAPER, held_out
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.trials import (
    Learned,
    Trial,
    TrialOutcome,
    bind,
    comparison_result,
    learned,
    trial_key,
)
from loptbench.tasks import TASKS, ProblemBatch, Quadratic, Task, get_task
from loptbench.tuning.tuned_file import Tuned

Float = NDArray[np.float64]

NO_LIMIT: Mapping[str, int] = MappingProxyType({})
"""All held-out problems of every task."""

ALL_BASELINES = OptimizerId(role=Role.BASELINES, name="baselines")
THEORETICAL_MOMENTUM = "theoretical momentum"


class Baselines:
    """The baselines of one task in one implementation, evaluated when first needed."""

    def __init__(
        self, implementation: Any, task: Task, tuned: Tuned, seed: int, n_problems: int
    ) -> None:
        self.implementation, self.task, self.seed = implementation, task, seed
        self.n_problems = n_problems
        kinds = implementation.optimizers
        entries = [*tuned.of(task), *tuned.scheduled(task)]
        self.tuned = {entry.kind: entry for entry in entries if entry.kind in kinds}
        self.specs = {kind: entry.spec for kind, entry in self.tuned.items()}
        if isinstance(task, Quadratic) and "momentum" in kinds:
            self.specs[THEORETICAL_MOMENTUM] = optimal_momentum(*task.eigenvalues)

    @property
    def weights(self) -> dict[str, str]:
        """The weights hash of each baseline."""
        return {name: weights_hash(spec) for name, spec in self.specs.items()}

    @functools.cached_property
    def batch(self) -> ProblemBatch:
        """The held-out problems."""
        return self.task.sample("evaluate", self.seed, range(self.n_problems))

    @functools.cached_property
    def losses(self) -> dict[str, Float]:
        """The losses of each baseline on the held-out problems, (n_steps, n_problems)."""
        return {
            name: self.run(spec, self.n_problems, ORACLE_DTYPE) for name, spec in self.specs.items()
        }

    @functools.cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """Each baseline on the held-out problems."""
        return {name: summarize(loss) for name, loss in self.losses.items()}

    def run(self, spec: OptimizerSpec, n_problems: int, dtype: str) -> Float:
        """The losses of an optimizer on the first of the held-out problems."""
        batch = self.batch
        if n_problems < self.n_problems:
            batch = batch.part(range(n_problems))
        return evaluated_losses(
            self.implementation, spec.rounded_to(dtype), batch, self.task.n_steps, dtype
        )

    def held_to_oracle(
        self, loss: Float, spec: OptimizerSpec, dtype: str, draw: int
    ) -> list[Comparison]:
        """A drawn sample of the losses of an optimizer beside the oracle's.

        Args:
            loss: the losses that `run` returned.
            spec: the optimizer.
            dtype: the arithmetic in which they were computed.
            draw: the seed of the draw.
        """
        drawn = draw_problems(loss.shape[1], self.task.n_parameters, draw)
        batch = self.batch.part(drawn)
        return compare_losses(oracle(), loss[:, drawn], spec, batch, dtype)


def evaluation_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    judged: Collection[str],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
    max_problems: Mapping[str, int] = NO_LIMIT,
) -> Iterator[Trial]:
    """The evaluation trials of one implementation.

    Every evaluation is held to the oracle on whole runs of a few problems that are drawn.

    All held-out problems of a task are run where a verdict rests on them. Where an implementation
    only cross-checks what another one is judged by, the paper's 128 do.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers that it evaluates, by name.
        judged: the names of those whose verdicts rest on this implementation.
        tuned: the tuned baselines.
        seed: the seed of the held-out problems.
        tasks: the tasks' names.
        max_problems: the largest number of problems of a task; none for tasks that it lacks.
    """
    implementation, kind = entry.implementation, TrialKind.EVALUATION
    for task in sorted(set(implementation.tasks) & set(tasks), key=list(TASKS).index):
        evaluated = [
            checkpoint
            for checkpoint in learned(checkpoints, [task])
            if checkpoint.spec.kind in implementation.optimizers
        ]
        problems = held_out(task, implementation)
        n_problems = min(problems.n_problems, max_problems.get(task, problems.n_problems))
        cross_check = min(PAPER, n_problems)
        sizes = {
            item.name: n_problems if item.name in judged else cross_check for item in evaluated
        }
        n_baseline = max(sizes.values(), default=cross_check)
        baselines = Baselines(implementation, get_task(task), tuned, seed, n_baseline)
        if baselines.specs:
            key = trial_key(
                *(entry, kind, ALL_BASELINES, None, task, seed, ORACLE_DTYPE),
                n_problems=n_baseline,
                baselines=baselines.weights,
            )
            yield Trial(key, bind(_evaluate_baselines, baselines, key), implementation)
        for item in evaluated:
            key = trial_key(
                *(entry, kind, item.optimizer, item.spec, task, seed, problems.dtype),
                n_problems=sizes[item.name],
                baselines=baselines.weights,
            )
            yield Trial(key, bind(_evaluate_learned, baselines, item, key), implementation)


def _evaluate_baselines(baselines: Baselines, key: TrialKey) -> TrialOutcome:
    evaluations = {}
    compared = []
    for name, evaluation in baselines.evaluations.items():
        spec = baselines.specs[name]
        entry = baselines.tuned.get(name)
        tuning = None
        if entry is not None:
            tuning = Tuning(
                score=entry.score,
                draw=entry.draw,
                places=dict(entry.places),
                n_draws=entry.n_draws,
                n_complete=entry.n_complete,
                n_diverged=entry.n_diverged,
                on_edge=tuple(entry.on_edge),
            )
        evaluations[name] = BaselineEvaluation(
            **dict(evaluation),
            hyperparameters={k: float(v) for k, v in spec.parameters.items()},
            tuning=tuning,
        )
        loss = baselines.losses[name]
        for comparison in baselines.held_to_oracle(loss, spec, ORACLE_DTYPE, _draw(key)):
            quantity, deviation = f"{name}, {comparison.quantity}", comparison.deviation
            if deviation:
                deviation = f"{name}, {deviation}"
            compared.append(dataclasses.replace(comparison, quantity=quantity, deviation=deviation))
    agreement = tuple(comparison_result(comparison) for comparison in compared)
    return _ended(evaluations, BaselinesResult(baselines=evaluations, agreement=agreement), key)


def _evaluate_learned(baselines: Baselines, checkpoint: Learned, key: TrialKey) -> TrialOutcome:
    assert key.n_problems is not None
    loss = baselines.run(checkpoint.spec, key.n_problems, key.dtype)
    evaluation = summarize(loss)
    compared = baselines.held_to_oracle(loss, checkpoint.spec, key.dtype, _draw(key))
    result = LearnedResult(
        learned=evaluation,
        ratios={
            name: paired_ratios(evaluation, baseline)
            for name, baseline in baselines.evaluations.items()
        },
        meta_training=MetaTraining.model_validate(dict(checkpoint.meta_training)),
        agreement=tuple(comparison_result(comparison) for comparison in compared),
    )
    return _ended({"learned": evaluation}, result, key)


def _draw(key: TrialKey) -> int:
    """The seed of the draw of a trial, from all that determines the trial."""
    return int(key.name[:16], 16)


def _ended(
    evaluations: Mapping[str, Evaluation], result: BaselinesResult | LearnedResult, key: TrialKey
) -> TrialOutcome:
    """A trial's outcome: failed if losses are not the oracle's, else diverged if a run did."""
    compared = result.agreement or ()
    deviations = [comparison.deviation for comparison in compared if comparison.deviation]
    if deviations:
        message = (
            f"{deviations[0]} [{key.implementation} against reference, {key.optimizer} on "
            f"{key.task}, seed {key.seed}, {key.dtype}, {key.n_problems} problems at once]; "
            f"{len(deviations)} of {len(compared)} drawn runs differ"
        )
        return TrialStatus.FAILED, message, result
    diverged = [
        f"{evaluation.n_diverged} of {evaluation.n_problems} runs of {name}"
        for name, evaluation in evaluations.items()
        if evaluation.n_diverged
    ]
    if diverged:
        return TrialStatus.DIVERGED, f"{', '.join(diverged)} diverged", result
    return TrialStatus.OK, "", result
