"""The benchmark: which trials there are, and what each of them finds out."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from loptbench.conformance import CHECKS, CheckStatus, Outcome, Subject, run_check, subjects
from loptbench.discovery import DiscoveredImplementation
from loptbench.optimizers import OptimizerSpec, optimal_momentum
from loptbench.results.store import TrialStatus
from loptbench.rollout.evaluation import Evaluation, evaluate, paired_ratio
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.study.mechanisms import Expected, mechanism_trials
from loptbench.study.trials import Result, Trial, bind, comparison_dict, learned, trial_key
from loptbench.tasks import TASKS, Quadratic, Task, get_task
from loptbench.tuning.tuned_file import Tuned

N_EVALUATION = 128
BY_STEP = ("teacher-forced", "free-running")


def plan(
    entries: Iterable[DiscoveredImplementation],
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
    expected, baselines_are_measured = Expected(), False
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
                # What the baselines do is the same in all of them: the first one measures it.
                told = None if baselines_are_measured else tuned
                baselines_are_measured = True
                trials += mechanism_trials(entry, measured, together, told, seed, tasks, expected)
    return [trial for trial in trials if trial.key["task"] in tasks]


def _conformance_trials(
    entry: DiscoveredImplementation, checkpoints: Mapping[str, Checkpoint], seed: int
) -> Iterator[Trial]:
    for subject in subjects(entry.implementation, seed, checkpoints=checkpoints):
        case = subject.case
        task = case.batch.task
        key = trial_key(entry, "conformance", case.label, case.spec, task, seed, subject.dtype)
        yield Trial(key, bind(_conformance, subject))


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
    entry: DiscoveredImplementation,
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
            key = trial_key(entry, "evaluation", "baselines", None, name, seed, "float64")
            yield Trial(key | decides, bind(_tuned_baselines, baselines))
        for label, spec, _, told in learned(checkpoints, [name]):
            if spec.kind in one.optimizers:
                key = trial_key(entry, "evaluation", label, spec, name, seed, "float64")
                yield Trial(key | decides, bind(_learned_against, baselines, spec, told))


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
            comparison_dict(c, outcome.check.name in BY_STEP and len(c.error) >= n_steps)
            for c in outcome.comparisons
        ],
    }


def _conformance(subject: Subject) -> Result:
    outcomes = [run_check(check, subject) for check in CHECKS if check.scope in subject.scopes]
    failed = [outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED]
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
