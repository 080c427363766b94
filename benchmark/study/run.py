"""Run a study: select implementations and optimizers, plan, execute, judge."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from loptbench.adapters.kinds import NO_SETTINGS
from loptbench.claims.catalogue import LATEST, load_edition
from loptbench.claims.judging import judge
from loptbench.discovery import (
    Availability,
    DiscoveredImplementation,
    discover,
    get_implementation,
    registered_source,
)
from loptbench.engines.choice import JOBS, engine_or_processes
from loptbench.engines.engine import Engine
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.progress import watching
from loptbench.results.schema.means import MeanResult
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.rollout.offered import require_task, task_not_offered
from loptbench.storage.weights import Checkpoint
from loptbench.study.adapted import AdaptedOptimizer, parse_optimizers, select_adapted
from loptbench.study.confirmation import is_kept, spend
from loptbench.study.early_verdicts import EarlyVerdicts
from loptbench.study.execution import run_trials
from loptbench.study.means import hold_means
from loptbench.study.monitor import Monitor
from loptbench.study.parts import ADAPTED, DEFAULT, FULL, PARTS, SMALL_TASKS, Part
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
from loptbench.tasks import SHIPPED, CustomTask, Task, get_task
from loptbench.tuning.tuned_file import Tuned, load_all_tuned
from loptbench.zoo.catalogue import names, representatives
from loptbench.zoo.loading import load


@dataclasses.dataclass(frozen=True)
class Selection:
    """What a study measures.

    Attributes:
        implementations: the implementations.
        checkpoints: the learned optimizers, by name.
        tuned: the tuned baselines.
        tasks: the names of the tasks.
        cross_checked: the names of the checkpoints that every implementation measures.
        seed: the seed of the problems and of the random optimizers.
        part: the part of the benchmark; of the others, its trials are left out.
        adapted: the adapted optimizers.
        confirm: whether mechanisms are measured that are kept for the confirmation of the claims.
    """

    implementations: Sequence[DiscoveredImplementation]
    checkpoints: Mapping[str, Checkpoint]
    tuned: Tuned
    tasks: Sequence[str]
    cross_checked: Collection[str]
    seed: int = 0
    part: Part = FULL
    adapted: Sequence[AdaptedOptimizer] = ()
    confirm: bool = False

    @property
    def kept(self) -> list[str]:
        """The learned optimizers whose mechanisms are not measured, but kept for confirmation."""
        kept = [name for name, checkpoint in self.checkpoints.items() if is_kept(checkpoint)]
        return [] if self.confirm else kept

    def trials(self) -> list[Trial]:
        """The trials, in the order of the plan."""
        planned = plan(
            self.implementations,
            self.checkpoints,
            self.tuned,
            self.seed,
            self.tasks,
            self.cross_checked,
            self.part.max_problems,
            self.adapted,
            self.confirm,
        )
        return self.part.trials(planned)


@dataclasses.dataclass(frozen=True)
class Study:
    """The results of a study.

    Attributes:
        store: the store with its results.
        implementations: the implementations that were to take part, usable or not.
        records: the records of its trials, in the order of the plan.
        verdicts: the verdicts on the claims.
        problems: a sentence for each file of the store that could not be read. If it was to hold
            the record of a trial, the trial was run again.
        means: the mean of every evaluation beside the other implementations'.
        not_offered: a sentence for each task from outside that an implementation does not offer.
        part: the part of the benchmark that was run.
        kept: the learned optimizers whose mechanisms were left out, as they are kept for the
            confirmation of the claims.
        not_made: a sentence for each learned optimizer that was to be meta-trained and failed.
    """

    store: Store
    implementations: Sequence[DiscoveredImplementation]
    records: Sequence[Record]
    verdicts: Sequence[Verdict]
    problems: Sequence[str] = ()
    means: Sequence[MeanResult] = ()
    not_offered: Sequence[str] = ()
    part: Part = FULL
    kept: Sequence[str] = ()
    not_made: Sequence[str] = ()

    @property
    def deviating_means(self) -> Sequence[MeanResult]:
        """The means that deviate, the first of each optimizer in each implementation."""
        first = {(m.record, m.optimizer): m for m in reversed(self.means) if m.deviation}
        return [*reversed(first.values())]

    @property
    def n_failed(self) -> int:
        """Number of failures: of trials, means, implementations and meta-trainings."""
        failed = [r for r in self.records if r.status is TrialStatus.FAILED]
        broken = [i for i in self.implementations if i.availability is Availability.BROKEN]
        return len(failed) + len(self.deviating_means) + len(broken) + len(self.not_made)


def run(
    store: Path | str = "loptbench-results",
    *,
    implementations: Collection[str] = (),
    checkpoints: Collection[str | Path] = (),
    optimizers: Collection[str] = (),
    settings: Mapping[str, Any] = NO_SETTINGS,
    tasks: Collection[str] = (),
    tuned: Path | Sequence[Path] | None = None,
    seed: int = 0,
    jobs: int = JOBS,
    engine: Engine | None = None,
    claims: int | str | Path = LATEST,
    part: str | None = None,
    confirm: bool = False,
) -> Study:
    """Run the benchmark: agreement, evaluation, mechanisms, verdicts.

    A run that was interrupted or extended continues from the records in the store.

        run("results", implementations=["reference"], tasks=["quadratic"]).n_failed

    Args:
        store: the folder of results; it is made if it does not exist.
        implementations: names or `package.module:Object`; all that are installed if empty.
        checkpoints: names of shipped ones or files; those of the part if empty.
        optimizers: optimizers of other libraries, such as `optax:lion(learning_rate=1e-4)`, to
            stand beside the others.
        settings: settings of the optimizer, if there is one.
        tasks: names of tasks; all if empty.
        tuned: a file that `tune` wrote, or several; the shipped baselines, if it has none.
        seed: the seed of the problems and of the random optimizers.
        jobs: the number of processes.
        engine: what runs the trials, as `loptbench.engines.choice.make_engine` makes it; so many
            processes of this machine if None.
        claims: the edition of the claims that are judged, 1 or 2, or a file of claims.
        part: `quick`, `default` or `full`, as in `loptbench.study.parts`. If None, `full` where
            checkpoints are given, else `default`; of optimizers alone, what is compared with them.
        confirm: whether the mechanisms of optimizers with seeds from 10 on are measured. They are
            kept for the confirmation of the claims; the store records that it has been spent.

    Raises:
        LoptbenchError: a name is unknown, a file is damaged, or the store cannot be written.
    """
    task_objects = [get_task(name) for name in dict.fromkeys(tasks or SHIPPED)]
    chosen_tasks = [task.name for task in task_objects]
    given = select_checkpoints(checkpoints)
    _require_their_tasks(given, chosen_tasks)
    load_edition(claims)  # a damaged file is found before anything is measured
    kinds = parse_optimizers(optimizers, settings)
    if part is not None and part not in PARTS:
        raise UnknownNameError("part", part, [*PARTS])
    own_part = FULL if given else ADAPTED if kinds else DEFAULT
    chosen_part = own_part if part is None else PARTS[part]
    chosen = given or select_checkpoints(chosen_part.checkpoints(chosen_tasks))
    # User checkpoints are cross-checked in every implementation, but only some of the zoo.
    small = [task for task in chosen_tasks if task in SMALL_TASKS]
    entries = select_implementations(implementations)
    _require_tasks(entries, task_objects)
    tuned_optimizers = load_all_tuned([tuned] if isinstance(tuned, Path) else tuned or [])
    selection = Selection(
        entries,
        chosen,
        tuned_optimizers,
        chosen_tasks,
        [*given] or representatives(small),
        seed,
        chosen_part,
        select_adapted(kinds, tuned_optimizers, chosen_tasks),
        confirm,
    )
    with engine_or_processes(engine, jobs) as engine:
        return measure(store, selection, engine, claims)


def measure(
    store: Path | str,
    selection: Selection,
    engine: Engine,
    claims: int | str | Path = LATEST,
) -> Study:
    """Plan the trials of a study, execute those without a record, and judge.

    Args:
        store: the folder of results.
        selection: what is measured.
        engine: what runs the trials.
        claims: the edition of the claims that are judged, 1 or 2, or a file of claims.
    """
    entries, trials = selection.implementations, selection.trials()
    results = Store.create(Path(store))
    if selection.confirm:
        spend(results, selection.checkpoints)
    _, problems = results.records()
    early = EarlyVerdicts((trial.key for trial in trials), results, claims)
    monitor = Monitor()
    with watching("loptbench", monitor.look) as say:

        def report(*_: object) -> None:
            for sentence in early.sentences():
                say(sentence)

        records = run_trials(
            trials,
            results,
            entries,
            report,
            engine,
            monitor,
            selection.part.left_out,
            selection.kept,
        )
    means = hold_means(results, records, selection.checkpoints, selection.tuned)
    verdicts = judge(results, claims)  # a mean that deviates is no evidence
    results.put_verdicts(verdicts, records)
    not_offered = _not_offered(entries, selection.tasks)
    return Study(
        results,
        entries,
        records,
        verdicts,
        problems,
        means,
        not_offered,
        selection.part,
        selection.kept,
    )


def _not_offered(entries: Sequence[DiscoveredImplementation], tasks: Sequence[str]) -> list[str]:
    """Why implementations leave out tasks from outside, one sentence each."""
    custom = [task for task in map(get_task, tasks) if isinstance(task, CustomTask)]
    reasons = [
        task_not_offered(entry.implementation, task)
        for task in custom
        for entry in entries
        if entry.implementation is not None
    ]
    return [reason for reason in reasons if reason]


def _require_their_tasks(checkpoints: Mapping[str, Checkpoint], tasks: Collection[str]) -> None:
    """Refuse a checkpoint of a task that is left out: nothing of it would be measured."""
    for name, checkpoint in checkpoints.items():
        if checkpoint.task not in tasks:
            raise LoptbenchError(
                f"{name} was meta-trained on {checkpoint.task}, which is not among the tasks "
                f"{', '.join(tasks)}; name it with --task"
            )


def _require_tasks(entries: Sequence[DiscoveredImplementation], tasks: Sequence[Task]) -> None:
    """Refuse a task from outside that is of no use, or that no implementation offers."""
    usable = [entry.implementation for entry in entries if entry.implementation is not None]
    for task in tasks:
        offering = [each for each in usable if not task_not_offered(each, task)]
        if isinstance(task, CustomTask) and not offering:
            reasons = "; ".join(task_not_offered(each, task) for each in usable)
            raise LoptbenchError(f"no implementation offers the task {task.name!r}: {reasons}")
        for implementation in offering:
            require_task(implementation, task)


def select_checkpoints(chosen: Collection[str | Path]) -> dict[str, Checkpoint]:
    """The checkpoints by name: that of a shipped one, or that of the file without its ending.

    Raises:
        WeightsError: a file does not exist or is damaged.
        LoptbenchError: two have the same name.
    """
    shipped_names = set(names())
    checkpoints: dict[str, Checkpoint] = {}
    for choice in chosen:
        name = str(choice) if str(choice) in shipped_names else Path(choice).stem
        if name in checkpoints:
            raise LoptbenchError(f"two checkpoints are called {name!r}; rename one of the files")
        checkpoints[name] = load(choice)
    return checkpoints


def select_implementations(chosen: Collection[str]) -> list[DiscoveredImplementation]:
    """The implementations with these names or at these paths; all that are registered if empty.

    Raises:
        LoptbenchError: one cannot be used, or two have the same name.
    """
    if not chosen:
        return discover()
    selected: list[DiscoveredImplementation] = []
    for choice in dict.fromkeys(chosen):
        implementation = get_implementation(choice)
        is_path = ":" in choice
        name = implementation.name if is_path else choice
        if any(entry.name == name for entry in selected):
            raise LoptbenchError(f"two implementations are called {name!r}; rename one")
        source = choice if is_path else registered_source(choice)
        selected.append(
            DiscoveredImplementation(
                name, source, Availability.INSTALLED, implementation=implementation
            )
        )
    return selected
