"""The mean of every evaluation, held to the other implementations' of the same optimizer."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from loptbench.agreement.means import (
    EarnedBound,
    compare_means,
    earned_bound,
    problems_to_measure,
)
from loptbench.discovery import oracle
from loptbench.errors import StoreError
from loptbench.optimizers import OptimizerSpec, optimal_momentum
from loptbench.progress import progress
from loptbench.results.frames import Contents
from loptbench.results.frames.evaluation import evaluated
from loptbench.results.schema.evaluation import Evaluation
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.results.schema.means import MeanResult
from loptbench.results.schema.records import Record, TrialStatus
from loptbench.results.store import Store
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.tasks import Quadratic, get_task
from loptbench.tuning.tuned_file import Tuned

Group = dict[str, tuple[Record, Evaluation]]
"""The evaluations of one optimizer, by implementation."""

Subject = tuple[str, str, str, str]
"""An optimizer on a task: role, name, weights hash, and all else that must be the same."""


def hold_means(
    store: Store,
    records: Iterable[Record],
    checkpoints: Mapping[str, Checkpoint],
    tuned: Tuned,
) -> tuple[MeanResult, ...]:
    """Hold the mean of every evaluation to the other implementations', and keep the result.

    They are of the same optimizer, task, problems and dtype. Evaluations that failed are left out:
    their losses are known not to be the reference's. Nothing is computed if the store has the means
    of these very evaluations already.

    Args:
        store: the store of the records; the means are written to it.
        records: the records of the run.
        checkpoints: the learned optimizers, by name.
        tuned: the tuned baselines.

    Raises:
        StoreError: the store cannot be written.
    """
    evaluations = [
        record
        for record in records
        if record.key.trial is TrialKind.EVALUATION and record.status is not TrialStatus.FAILED
    ]
    try:
        if store.means_are_of(evaluations):
            return store.means()
    except StoreError:
        pass  # a damaged file is written anew
    optimizers = [item.optimizer.rounded_to("float64") for item in checkpoints.values()]
    learned = {weights_hash(optimizer): optimizer for optimizer in optimizers}
    means: list[MeanResult] = []
    groups = _groups(evaluations)
    with progress("means", len(groups)) as report:
        for done, (subject, group) in enumerate(groups.items(), 1):
            task = next(iter(group.values()))[0].key.task
            optimizer = learned.get(subject[2]) or _baseline(subject[1], task, tuned)
            means += _held(subject, group, optimizer)
            report(done, f"{subject[1]} on {task}")
    store.put_means(means, evaluations)
    return tuple(means)


def _groups(records: Sequence[Record]) -> dict[Subject, Group]:
    """The evaluations of each optimizer that several implementations evaluated."""
    groups: dict[Subject, Group] = defaultdict(dict)
    for record, columns, evaluation in evaluated(Contents(records)):
        key = record.key
        weights = key.weights or (key.baselines or {})[columns["optimizer"]]
        place = [key.task, key.problems, key.seed, key.dtype, key.device]
        subject = columns["role"], columns["optimizer"], weights, json.dumps(place)
        groups[subject][key.implementation] = record, evaluation
    return {subject: group for subject, group in groups.items() if len(group) > 1}


def _baseline(name: str, task: str, tuned: Tuned) -> OptimizerSpec:
    definition = get_task(task)
    for entry in [*tuned.of(definition), *tuned.scheduled(definition)]:
        if entry.kind == name:
            return entry.spec
    assert isinstance(definition, Quadratic), name  # the momentum of theory
    return optimal_momentum(*definition.eigenvalues)


def _held(subject: Subject, group: Group, spec: OptimizerSpec) -> list[MeanResult]:
    role, name, weights, _ = subject
    record, evaluation = next(iter(group.values()))
    key, task = record.key, get_task(record.key.task)
    objectives = {other: item.objective for other, (_, item) in group.items()}
    largest, drawn = problems_to_measure(
        objectives, key.dtype, task.n_parameters, int(weights[:16], 16)
    )
    measured = [*largest, *drawn]
    nothing = np.zeros(0)
    earned = EarnedBound(nothing, nothing, nothing.astype(bool))
    if measured:
        batch = task.sample("evaluate", key.seed, measured)
        n_losses = len(evaluation.curve_mean)
        earned = earned_bound(oracle(), spec, batch, n_losses, key.dtype, key.device)
    return [
        MeanResult(
            record=group[compared.implementation][0].name,
            role=str(Role(role)),
            optimizer=name,
            **{field: getattr(compared, field) for field in FIELDS},
        )
        for compared in compare_means(objectives, earned, measured, len(drawn), key.dtype)
    ]


FIELDS = (
    *("other", "n_problems", "mean", "other_mean", "error", "bound"),
    *("n_disputed", "n_measured", "deviation"),
)
"""What a result takes from `loptbench.agreement.means.MeanComparison`."""
