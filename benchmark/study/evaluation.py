"""The evaluation trials: learned optimizers and tuned baselines on held-out problems."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from loptbench.discovery import DiscoveredImplementation
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
from loptbench.results.schema.records import TrialResult, TrialStatus
from loptbench.rollout.evaluation import evaluate, paired_ratios
from loptbench.rollout.held_out import ORACLE_DTYPE, PAPER, held_out
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.trials import Learned, Trial, TrialOutcome, bind, learned, trial_key
from loptbench.tasks import TASKS, Quadratic, Task, get_task
from loptbench.tuning.tuned_file import Tuned

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
        self.tuned = {entry.kind: entry for entry in tuned.of(task) if entry.kind in kinds}
        self.specs = {kind: entry.spec for kind, entry in self.tuned.items()}
        if isinstance(task, Quadratic) and "momentum" in kinds:
            self.specs[THEORETICAL_MOMENTUM] = optimal_momentum(*task.eigenvalues)
        self._evaluations: dict[str, Evaluation] | None = None

    @property
    def weights(self) -> dict[str, str]:
        """The weights hash of each baseline."""
        return {name: weights_hash(spec) for name, spec in self.specs.items()}

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """Each baseline on the held-out problems."""
        if self._evaluations is None:
            self._evaluations = {
                name: self.evaluate(spec, self.n_problems, ORACLE_DTYPE)
                for name, spec in self.specs.items()
            }
        return self._evaluations

    def evaluate(self, spec: OptimizerSpec, n_problems: int, dtype: str) -> Evaluation:
        """An optimizer on the first of the held-out problems."""
        batch = self.task.sample("evaluate", self.seed, range(n_problems))
        return evaluate(
            self.implementation, spec.rounded_to(dtype), batch, self.task.n_steps, dtype
        )


def evaluation_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    judged: Collection[str],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
) -> Iterator[Trial]:
    """The evaluation trials of one implementation.

    All held-out problems of a task are run where a verdict rests on them. Where an implementation
    only cross-checks what another one is judged by, the paper's 128 do.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers that it evaluates, by name.
        judged: the names of those whose verdicts rest on this implementation.
        tuned: the tuned baselines.
        seed: the seed of the held-out problems.
        tasks: the tasks' names.
    """
    implementation, kind = entry.implementation, TrialKind.EVALUATION
    for task in sorted(set(implementation.tasks) & set(tasks), key=list(TASKS).index):
        evaluated = [
            checkpoint
            for checkpoint in learned(checkpoints, [task])
            if checkpoint.spec.kind in implementation.optimizers
        ]
        problems = held_out(task, implementation)
        cross_check = min(PAPER, problems.n_problems)
        sizes = {
            item.name: problems.n_problems if item.name in judged else cross_check
            for item in evaluated
        }
        n_baseline = max(sizes.values(), default=cross_check)
        baselines = Baselines(implementation, get_task(task), tuned, seed, n_baseline)
        if baselines.specs:
            key = trial_key(
                *(entry, kind, ALL_BASELINES, None, task, seed, ORACLE_DTYPE),
                n_problems=n_baseline,
                baselines=baselines.weights,
            )
            yield Trial(key, bind(_evaluate_baselines, baselines))
        for item in evaluated:
            key = trial_key(
                *(entry, kind, item.optimizer, item.spec, task, seed, problems.dtype),
                n_problems=sizes[item.name],
                baselines=baselines.weights,
            )
            yield Trial(key, bind(_evaluate_learned, baselines, item, key))


def _evaluate_baselines(baselines: Baselines) -> TrialOutcome:
    evaluations = {}
    for name, evaluation in baselines.evaluations.items():
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
            hyperparameters={k: float(v) for k, v in baselines.specs[name].parameters.items()},
            tuning=tuning,
        )
    return _ended(evaluations, BaselinesResult(baselines=evaluations))


def _evaluate_learned(baselines: Baselines, checkpoint: Learned, key: TrialKey) -> TrialOutcome:
    assert key.n_problems is not None
    evaluation = baselines.evaluate(checkpoint.spec, key.n_problems, key.dtype)
    result = LearnedResult(
        learned=evaluation,
        ratios={
            name: paired_ratios(evaluation, baseline)
            for name, baseline in baselines.evaluations.items()
        },
        meta_training=MetaTraining.model_validate(dict(checkpoint.meta_training)),
    )
    return _ended({"learned": evaluation}, result)


def _ended(evaluations: Mapping[str, Evaluation], result: TrialResult) -> TrialOutcome:
    """A trial's outcome: diverged if a run of one of its optimizers did."""
    diverged = [
        f"{evaluation.n_diverged} of {evaluation.n_problems} runs of {name}"
        for name, evaluation in evaluations.items()
        if evaluation.n_diverged
    ]
    if diverged:
        return TrialStatus.DIVERGED, f"{', '.join(diverged)} diverged", result
    return TrialStatus.OK, "", result
