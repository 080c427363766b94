"""The benchmark: which trials there are, and running those whose record is not there yet."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from loptbench.agreement import ORACLE, Comparison
from loptbench.conformance import CHECKS, Outcome, Status, Subject, run_check, subjects
from loptbench.evaluation import evaluate, paired_ratio
from loptbench.mechanisms.analysis import analyze, compare_analyses
from loptbench.optimizers import OptimizerSpec, momentum, optimal_momentum, sgd
from loptbench.provenance import code_hash, machine, versions_of
from loptbench.records import Record, Store, TrialStatus, key_hash
from loptbench.registry import Entry
from loptbench.tasks import Quadratic, get_task
from loptbench.trajectory import run
from loptbench.weights import Checkpoint, weights_hash

N_EVALUATION = 128
N_ANALYSIS = 64
BY_STEP = ("teacher-forced", "free-running")

CONTROLS = {"sgd": sgd(0.1), "momentum": momentum(0.1, 0.9)}
"""Optimizers whose momentum is known: 0, and beta."""

Result = tuple[TrialStatus, str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Trial:
    """One thing to find out, and how.

    Attributes:
        key: what determines its result, and names its record.
        run: finds it out.
    """

    key: Mapping[str, Any]
    run: Callable[[], Result]

    @property
    def words(self) -> str:
        """The trial in a few words, for progress."""
        return f"{self.key['trial']} of {self.key['optimizer']} in {self.key['implementation']}"


def plan(entries: Iterable[Entry], checkpoints: Mapping[str, Checkpoint], seed: int) -> list[Trial]:
    """The trials of the installed ones of these implementations.

    Args:
        entries: the implementations.
        checkpoints: the learned optimizers, by name.
        seed: the seed of the evaluation problems and of the random optimizers.
    """
    trials: list[Trial] = []
    for entry in entries:
        if entry.implementation is not None:
            trials += _conformance_trials(entry, checkpoints, seed)
            if "float64" in entry.implementation.dtypes:
                trials += _evaluation_trials(entry, checkpoints, seed)
                trials += _momentum_trials(entry, checkpoints, seed)
    return trials


def _key(
    entry: Entry, trial: str, optimizer: str, spec: OptimizerSpec, task: str, seed: int, dtype: str
) -> dict[str, Any]:
    return {
        "trial": trial,
        "implementation": entry.name,
        "source": entry.source,
        "versions": versions_of(entry.implementation),
        "code": code_hash(),
        "optimizer": optimizer,
        "weights": weights_hash(spec),
        "task": task,
        "seed": seed,
        "dtype": dtype,
        "device": "cpu",
    }


def _conformance_trials(
    entry: Entry, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    for subject in subjects(entry.implementation, seed, checkpoints=checkpoints):
        case = subject.case
        task = case.batch.task
        key = _key(entry, "conformance", case.label, case.spec, task, seed, subject.dtype)
        yield Trial(key, _bind(_conformance, subject))


def _evaluation_trials(
    entry: Entry, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    one = entry.implementation
    for label, spec, task in _learned(checkpoints):
        if task in one.tasks and spec.kind in one.optimizers:
            key = _key(entry, "evaluation", label, spec, task, seed, "float64")
            key["n_problems"] = N_EVALUATION
            yield Trial(key, _bind(_evaluation, one, spec, task, seed))


def _momentum_trials(
    entry: Entry, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    one = entry.implementation
    controls = [(label, spec, "quadratic") for label, spec in CONTROLS.items()]
    for label, spec, task in _learned(checkpoints) + controls:
        if task in one.tasks and spec.kind in one.optimizers:
            key = _key(entry, "momentum", label, spec, task, seed, "float64")
            key["n_problems"] = N_ANALYSIS
            yield Trial(key, _bind(_momentum, one, spec, task, seed))


def _learned(checkpoints: Mapping[str, Checkpoint]) -> list[tuple[str, OptimizerSpec, str]]:
    return [
        (f"checkpoint {name}", checkpoint.optimizer.rounded_to("float64"), checkpoint.task)
        for name, checkpoint in checkpoints.items()
    ]


def _bind(function: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
    return lambda: function(*arguments)


def run_trials(
    trials: list[Trial],
    store: Store,
    entries: Iterable[Entry],
    report: Callable[[int, str], None] = lambda *_: None,
) -> list[Record]:
    """Run what is not in the store yet, and return the records of all trials, in order.

    Each record is written as soon as its trial ends: interrupted, the next call goes on from there.
    """
    store.put_plan(
        {
            "trials": [{**trial.key, "record": key_hash(trial.key)} for trial in trials],
            "implementations": [
                {"name": e.name, "availability": str(e.availability), "reason": e.reason}
                for e in entries
            ],
        }
    )
    records = []
    for done, trial in enumerate(trials):
        record = store.get(trial.key)
        if record is None:
            report(done, trial.words)
            record = Record(trial.key, *_guarded(trial), machine())
            store.put(record)
        records.append(record)
        report(done + 1, trial.words)
    return records


def _guarded(trial: Trial) -> Result:
    try:
        return trial.run()
    except Exception as error:
        return TrialStatus.FAILED, f"raised {type(error).__name__}: {error}", {}


def _comparison_dict(comparison: Comparison, by_step: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "quantity": comparison.quantity,
        "ratio": comparison.ratio,
        "error": float(np.max(comparison.error, initial=0.0)),
        "bound": float(np.min(comparison.bound, initial=np.inf)),
        "deviation": comparison.deviation,
    }
    if by_step:
        found |= {
            "error_by_step": comparison.error.tolist(),
            "bound_by_step": comparison.bound.tolist(),
        }
    return found


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    """A check's outcome as plain values; errors by step for whole runs only."""
    n_steps = outcome.subject.case.n_steps
    return {
        "check": outcome.check.name,
        "level": int(outcome.check.level),
        "status": str(outcome.status),
        "message": outcome.message,
        "ratio": outcome.ratio,
        "comparisons": [
            _comparison_dict(c, outcome.check.name in BY_STEP and len(c.error) >= n_steps)
            for c in outcome.comparisons
        ],
    }


def _conformance(subject: Subject) -> Result:
    outcomes = [run_check(check, subject) for check in CHECKS]
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    message = f"{failed[0].check.name}: {failed[0].message}" if failed else ""
    result = {"checks": [outcome_dict(outcome) for outcome in outcomes]}
    return TrialStatus.FAILED if failed else TrialStatus.OK, message, result


def _evaluation(implementation: Any, spec: OptimizerSpec, task_name: str, seed: int) -> Result:
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(N_EVALUATION))
    learned = evaluate(implementation, spec, batch, task.n_steps, "float64")
    result: dict[str, Any] = {"learned": learned.as_dict()}
    if isinstance(task, Quadratic) and "momentum" in implementation.optimizers:
        theory = optimal_momentum(*task.eigenvalues)
        baseline = evaluate(implementation, theory, batch, task.n_steps, "float64")
        result["theoretical momentum"] = baseline.as_dict()
        result["hyperparameters"] = {k: float(v) for k, v in theory.parameters.items()}
        result["ratio"] = paired_ratio(learned, baseline)
    if learned.n_diverged:
        message = f"{learned.n_diverged} of {N_EVALUATION} runs diverged"
        return TrialStatus.DIVERGED, message, result
    return TrialStatus.OK, "", result


def _momentum(implementation: Any, spec: OptimizerSpec, task_name: str, seed: int) -> Result:
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(N_ANALYSIS))
    found, expected = (
        analyze(one.optimizer(spec, "float64", "cpu"), run(one, spec, batch, task.n_steps))
        for one in (implementation, ORACLE)
    )
    compared = compare_analyses(found, expected)
    deviations = [comparison.deviation for comparison in compared if not comparison.ok]
    result = found.as_dict() | {"agreement": [_comparison_dict(c, False) for c in compared]}
    if deviations:
        return TrialStatus.FAILED, deviations[0], result
    return TrialStatus.OK, "", result
