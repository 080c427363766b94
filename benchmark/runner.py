"""The benchmark: which trials there are, and running those whose record is not there yet."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from loptbench.agreement import ORACLE, Comparison
from loptbench.conformance import CHECKS, Outcome, Status, Subject, run_check, subjects
from loptbench.evaluation import Evaluation, evaluate, paired_ratio, problems_at_once
from loptbench.mechanisms.analysis import analyze, compare_analyses
from loptbench.optimizers import OptimizerSpec, momentum, optimal_momentum, sgd
from loptbench.provenance import code_hash, machine, versions_of
from loptbench.records import Record, Store, TrialStatus, key_hash
from loptbench.registry import Entry
from loptbench.tasks import TASKS, Quadratic, Task, definition, get_task
from loptbench.trajectory import run
from loptbench.tuned import Tuned
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
        key = self.key
        on = f" on {key['task']}" if "task" in key else ""
        return f"{key['trial']} of {key['optimizer']}{on} in {key['implementation']}"


def plan(
    entries: Iterable[Entry],
    checkpoints: Mapping[str, Checkpoint],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str] = tuple(TASKS),
    checked: Collection[str] | None = None,
) -> list[Trial]:
    """The trials of the installed ones of these implementations.

    Args:
        entries: the implementations.
        checkpoints: the learned optimizers, by name.
        tuned: the baselines.
        seed: the seed of the evaluation problems and of the random optimizers.
        tasks: the tasks to run.
        checked: the checkpoints on which implementations are held to each other; all if None. The
            others are measured once, by the implementation that meta-trained them.
    """
    if checked is None:
        checked = checkpoints
    together = {name: one for name, one in checkpoints.items() if name in checked}
    trials: list[Trial] = []
    for entry in entries:
        if entry.implementation is not None:
            measured = {
                name: one
                for name, one in checkpoints.items()
                if name in together or one.meta_training.get("implementation") == entry.name
            }
            trials += _conformance_trials(entry, together, seed)
            if "float64" in entry.implementation.dtypes:
                trials += _evaluation_trials(entry, measured, tuned, seed, tasks)
                trials += _momentum_trials(entry, measured, seed)
    return [trial for trial in trials if trial.key["task"] in tasks]


def _key(
    entry: Entry,
    trial: str,
    optimizer: str,
    spec: OptimizerSpec | None,
    task: str,
    seed: int,
    dtype: str,
) -> dict[str, Any]:
    return {
        "trial": trial,
        "implementation": entry.name,
        "source": entry.source,
        "versions": versions_of(entry.implementation),
        "code": code_hash(),
        "optimizer": optimizer,
        "weights": weights_hash(spec) if spec is not None else None,
        "task": task,
        "problems": definition(get_task(task)),
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


class _Baselines:
    """The tuned baselines of one task in one implementation, evaluated when first asked for."""

    def __init__(self, implementation: Any, task: Task, tuned: Tuned, seed: int) -> None:
        self.implementation, self.task, self.seed = implementation, task, seed
        kinds = implementation.optimizers
        self.tuned = {entry.kind: entry for entry in tuned.of(task) if entry.kind in kinds}
        self.specs = {kind: entry.spec for kind, entry in self.tuned.items()}
        if isinstance(task, Quadratic) and "momentum" in kinds:
            self.specs["theoretical momentum"] = optimal_momentum(*task.eigenvalues)
        self._found: dict[str, Evaluation] | None = None

    @property
    def weights(self) -> dict[str, str]:
        """What decides the baselines' runs."""
        return {label: weights_hash(spec) for label, spec in self.specs.items()}

    def evaluated(self) -> dict[str, Evaluation]:
        """Each baseline on the held-out problems."""
        if self._found is None:
            self._found = {label: self.evaluate(spec) for label, spec in self.specs.items()}
        return self._found

    def evaluate(self, spec: OptimizerSpec) -> Evaluation:
        """An optimizer on the held-out problems."""
        batch = self.task.sample("evaluate", self.seed, range(N_EVALUATION))
        return evaluate(self.implementation, spec, batch, self.task.n_steps, "float64")


def _evaluation_trials(
    entry: Entry,
    checkpoints: Mapping[str, Checkpoint],
    tuned: Tuned,
    seed: int,
    tasks: Collection[str],
) -> Iterator[Trial]:
    one = entry.implementation
    for name in sorted(set(one.tasks) & set(tasks), key=list(TASKS).index):
        baselines = _Baselines(one, get_task(name), tuned, seed)
        decides = {"n_problems": N_EVALUATION, "baselines": baselines.weights}
        if baselines.specs:
            key = _key(entry, "evaluation", "baselines", None, name, seed, "float64")
            yield Trial(key | decides, _bind(_tuned_baselines, baselines))
        for label, spec, told in _learned(checkpoints, name):
            if spec.kind in one.optimizers:
                key = _key(entry, "evaluation", label, spec, name, seed, "float64")
                yield Trial(key | decides, _bind(_learned_against, baselines, spec, told))


def _momentum_trials(
    entry: Entry, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    one = entry.implementation
    wanted = [
        (label, spec, task) for task in TASKS for label, spec, _ in _learned(checkpoints, task)
    ]
    wanted += [(label, spec, "quadratic") for label, spec in CONTROLS.items()]
    for label, spec, task in wanted:
        if task in one.tasks and spec.kind in one.optimizers:
            key = _key(entry, "momentum", label, spec, task, seed, "float64")
            key["n_problems"] = analysis_size(spec, task)
            yield Trial(key, _bind(_momentum, one, spec, task, seed))


def analysis_size(spec: OptimizerSpec, task_name: str) -> int:
    """How many problems an optimizer's mechanisms are measured on: as many as memory allows."""
    task = get_task(task_name)
    batch = task.sample("evaluate", 0, [0])
    return min(N_ANALYSIS, problems_at_once(spec, batch, task.n_steps))


def _learned(
    checkpoints: Mapping[str, Checkpoint], task: str
) -> list[tuple[str, OptimizerSpec, Mapping[str, Any]]]:
    """Label, optimizer and meta-training of each that was meta-trained on a task."""
    return [
        (f"checkpoint {name}", one.optimizer.rounded_to("float64"), one.meta_training)
        for name, one in checkpoints.items()
        if one.task == task
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
    outcomes = [run_check(check, subject) for check in CHECKS if check.scope in subject.scopes]
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    message = f"{failed[0].check.name}: {failed[0].message}" if failed else ""
    result = {"checks": [outcome_dict(outcome) for outcome in outcomes]}
    return TrialStatus.FAILED if failed else TrialStatus.OK, message, result


def _tuned_baselines(baselines: _Baselines) -> Result:
    """The tuned baselines by themselves, and how they were tuned."""
    found = baselines.evaluated()
    told = {label: one.as_dict() for label, one in found.items()}
    for label, spec in baselines.specs.items():
        told[label]["hyperparameters"] = {k: float(v) for k, v in spec.parameters.items()}
    about = ("score", "draw", "places", "n_draws", "n_complete", "n_diverged", "on_edge")
    for label, entry in baselines.tuned.items():
        told[label]["tuning"] = {name: getattr(entry, name) for name in about}
    return _evaluated({"baselines": told}, found)


def _learned_against(
    baselines: _Baselines, spec: OptimizerSpec, meta_training: Mapping[str, Any]
) -> Result:
    """A learned optimizer, its ratio to each of the baselines, and how it was meta-trained."""
    learned = baselines.evaluate(spec)
    ratios = {label: paired_ratio(learned, one) for label, one in baselines.evaluated().items()}
    result = {"learned": learned.as_dict(), "ratios": ratios, "meta_training": meta_training}
    return _evaluated(result, {"learned": learned})


def _evaluated(result: dict[str, Any], found: Mapping[str, Evaluation]) -> Result:
    """The result, and whether a run diverged."""
    said = [
        f"{one.n_diverged} of {N_EVALUATION} runs of {label}"
        for label, one in found.items()
        if one.n_diverged
    ]
    if said:
        return TrialStatus.DIVERGED, f"{', '.join(said)} diverged", result
    return TrialStatus.OK, "", result


def _momentum(implementation: Any, spec: OptimizerSpec, task_name: str, seed: int) -> Result:
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(analysis_size(spec, task_name)))
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
