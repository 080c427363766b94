"""The evaluation trials: learned optimizers and tuned baselines on held-out problems."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from loptbench.discovery import DiscoveredImplementation
from loptbench.results.schema.conformance import ComparisonResult
from loptbench.results.schema.evaluation import (
    AdaptedResult,
    BaselineEvaluation,
    BaselinesResult,
    Evaluation,
    LearnedResult,
    MetaTraining,
    Ratios,
)
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.records import Record, TrialResult, TrialStatus
from loptbench.rollout.evaluation import paired_ratios, summarize
from loptbench.rollout.held_out import ORACLE_DTYPE, PAPER, held_out
from loptbench.storage.weights import Checkpoint
from loptbench.study.adapted import AdaptedOptimizer, adapted_key
from loptbench.study.baselines import Baselines, tuning_of
from loptbench.study.trials import (
    Learned,
    Trial,
    TrialOutcome,
    bind,
    comparison_result,
    learned,
    trial_key,
)
from loptbench.tasks import TASKS, get_task
from loptbench.tuning.tuned_file import Tuned

NO_LIMIT: Mapping[str, int] = MappingProxyType({})
"""All held-out problems of every task."""

ALL_BASELINES = OptimizerId(role=Role.BASELINES, name="baselines")


def evaluation_trials(
    entry: DiscoveredImplementation,
    checkpoints: Mapping[str, Checkpoint],
    judged: Collection[str],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
    max_problems: Mapping[str, int] = NO_LIMIT,
    adapted: Sequence[AdaptedOptimizer] = (),
) -> Iterator[Trial]:
    """The evaluation trials of one implementation.

    Every evaluation but those of adapted optimizers, which the oracle does not have, is held to the
    oracle on whole runs of a few problems that are drawn.

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
        adapted: the adapted optimizers that run on its problems.
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
        beside = [item for item in adapted if item.task == task]
        n_adapted = [n_problems] * len(beside)
        n_baseline = max([*sizes.values(), *n_adapted], default=cross_check)
        baselines = Baselines(implementation, get_task(task), tuned, seed, n_baseline)
        of_baselines = None
        if baselines.specs:
            of_baselines = key = trial_key(
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
            run = bind(_evaluate_learned, baselines, item, key)
            yield Trial(key, run, implementation, of_baselines)
        for one in beside:
            key = adapted_key(
                *(entry, kind, one, seed), n_problems=n_problems, baselines=baselines.weights
            )
            run = bind(_evaluate_adapted, baselines, one, key)
            yield Trial(key, run, implementation, of_baselines)


def _evaluate_baselines(baselines: Baselines, key: TrialKey) -> TrialOutcome:
    evaluations = {}
    compared = []
    for name, evaluation in baselines.evaluations.items():
        spec = baselines.specs[name]
        entry = baselines.tuned.get(name)
        evaluations[name] = BaselineEvaluation(
            **dict(evaluation),
            hyperparameters={k: float(v) for k, v in spec.parameters.items()},
            tuning=tuning_of(entry) if entry is not None else None,
        )
        loss = baselines.losses[name]
        for comparison in baselines.held_to_oracle(loss, spec, ORACLE_DTYPE, _draw(key)):
            quantity, deviation = f"{name}, {comparison.quantity}", comparison.deviation
            if deviation:
                deviation = f"{name}, {deviation}"
            compared.append(dataclasses.replace(comparison, quantity=quantity, deviation=deviation))
    agreement = tuple(comparison_result(comparison) for comparison in compared)
    result = BaselinesResult(baselines=evaluations, agreement=agreement)
    return _ended(evaluations, result, key, agreement)


def _evaluate_learned(
    baselines: Baselines, checkpoint: Learned, key: TrialKey, given: Record | None = None
) -> TrialOutcome:
    """Evaluate a learned optimizer beside the baselines, whose record is given."""
    assert key.n_problems is not None
    loss = baselines.run(checkpoint.spec, key.n_problems, key.dtype)
    evaluation = summarize(loss)
    compared = baselines.held_to_oracle(loss, checkpoint.spec, key.dtype, _draw(key))
    agreement = tuple(comparison_result(comparison) for comparison in compared)
    result = LearnedResult(
        learned=evaluation,
        ratios=_ratios(baselines, evaluation, given),
        meta_training=MetaTraining.model_validate(dict(checkpoint.meta_training)),
        agreement=agreement,
    )
    return _ended({"learned": evaluation}, result, key, agreement)


def _evaluate_adapted(
    baselines: Baselines, adapted: AdaptedOptimizer, key: TrialKey, given: Record | None = None
) -> TrialOutcome:
    """Evaluate an adapted optimizer beside the baselines, whose record is given."""
    assert key.n_problems is not None
    computing = adapted.on(baselines.implementation)
    evaluation = summarize(baselines.run(adapted.spec, key.n_problems, key.dtype, computing))
    measured = BaselineEvaluation(
        **dict(evaluation),
        hyperparameters={name: float(value) for name, value in adapted.spec.parameters.items()},
        tuning=tuning_of(adapted.tuned) if adapted.tuned is not None else None,
    )
    result = AdaptedResult(adapted=measured, ratios=_ratios(baselines, evaluation, given))
    return _ended({adapted.kind.name: evaluation}, result, key)


def _ratios(
    baselines: Baselines, evaluation: Evaluation, given: Record | None
) -> dict[str, Ratios]:
    """The ratios of an evaluation to each baseline, whose evaluations may be in a record."""
    known: Mapping[str, Evaluation] | None = None
    if given is not None and isinstance(given.result, BaselinesResult):
        known = given.result.baselines
    return {
        name: paired_ratios(evaluation, baseline)
        for name, baseline in (known or baselines.evaluations).items()
    }


def _draw(key: TrialKey) -> int:
    """The seed of the draw of a trial, from all that determines the trial."""
    return int(key.name[:16], 16)


def _ended(
    evaluations: Mapping[str, Evaluation],
    result: TrialResult,
    key: TrialKey,
    compared: Sequence[ComparisonResult] = (),
) -> TrialOutcome:
    """A trial's outcome: failed if losses are not the oracle's, else diverged if a run did."""
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
