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
from loptbench.results.schema.keys import OptimizerId, Role, TrialKind
from loptbench.results.schema.records import TrialResult, TrialStatus
from loptbench.rollout.evaluation import evaluate, paired_ratio
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.trials import Learned, Trial, TrialOutcome, bind, learned, trial_key
from loptbench.tasks import TASKS, Quadratic, Task, get_task
from loptbench.tuning.tuned_file import Tuned

N_EVALUATION = 128
"""Number of held-out problems."""

ALL_BASELINES = OptimizerId(role=Role.BASELINES, name="baselines")
THEORETICAL_MOMENTUM = "theoretical momentum"


class Baselines:
    """The baselines of one task in one implementation, evaluated when first needed."""

    def __init__(self, implementation: Any, task: Task, tuned: Tuned, seed: int) -> None:
        self.implementation, self.task, self.seed = implementation, task, seed
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
            self._evaluations = {name: self.evaluate(spec) for name, spec in self.specs.items()}
        return self._evaluations

    def evaluate(self, spec: OptimizerSpec) -> Evaluation:
        """An optimizer on the held-out problems."""
        batch = self.task.sample("evaluate", self.seed, range(N_EVALUATION))
        return evaluate(self.implementation, spec, batch, self.task.n_steps, "float64")


def evaluation_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
) -> Iterator[Trial]:
    """The evaluation trials of one implementation.

    Args:
        entry: the implementation.
        checkpoints: the learned optimizers, by name.
        tuned: the tuned baselines.
        seed: the seed of the held-out problems.
        tasks: the tasks' names.
    """
    implementation, kind = entry.implementation, TrialKind.EVALUATION
    for task in sorted(set(implementation.tasks) & set(tasks), key=list(TASKS).index):
        baselines = Baselines(implementation, get_task(task), tuned, seed)
        key_fields = {"n_problems": N_EVALUATION, "baselines": baselines.weights}
        if baselines.specs:
            key = trial_key(entry, kind, ALL_BASELINES, None, task, seed, "float64", **key_fields)
            yield Trial(key, bind(_evaluate_baselines, baselines))
        for checkpoint in learned(checkpoints, [task]):
            if checkpoint.spec.kind in implementation.optimizers:
                key = trial_key(
                    entry,
                    kind,
                    checkpoint.optimizer,
                    checkpoint.spec,
                    task,
                    seed,
                    "float64",
                    **key_fields,
                )
                yield Trial(key, bind(_evaluate_learned, baselines, checkpoint))


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


def _evaluate_learned(baselines: Baselines, checkpoint: Learned) -> TrialOutcome:
    evaluation = baselines.evaluate(checkpoint.spec)
    result = LearnedResult(
        learned=evaluation,
        ratios={
            name: paired_ratio(evaluation, baseline)
            for name, baseline in baselines.evaluations.items()
        },
        meta_training=MetaTraining.model_validate(dict(checkpoint.meta_training)),
    )
    return _ended({"learned": evaluation}, result)


def _ended(evaluations: Mapping[str, Evaluation], result: TrialResult) -> TrialOutcome:
    """A trial's outcome: diverged if a run of one of its optimizers did."""
    diverged = [
        f"{evaluation.n_diverged} of {N_EVALUATION} runs of {name}"
        for name, evaluation in evaluations.items()
        if evaluation.n_diverged
    ]
    if diverged:
        return TrialStatus.DIVERGED, f"{', '.join(diverged)} diverged", result
    return TrialStatus.OK, "", result
