"""Running the trials that have no record yet, in several processes."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pickle import PicklingError
from typing import NamedTuple

from joblib import Parallel, delayed, parallel_config

from loptbench.discovery import DiscoveredImplementation
from loptbench.errors import LoptbenchError, StoreError
from loptbench.processes import Packed, end_with, unpack
from loptbench.progress import Report
from loptbench.protocol import Compiles
from loptbench.results.provenance import machine
from loptbench.results.schema.keys import TrialKind
from loptbench.results.schema.plan import ImplementationState, Plan
from loptbench.results.schema.records import Provenance, Record, TrialStatus
from loptbench.results.store import Store
from loptbench.study.monitor import Journal, Monitor
from loptbench.study.order import first_answer_first
from loptbench.study.trials import Trial, TrialOutcome
from loptbench.tasks import TASKS, Task

JOBS = min(2, os.cpu_count() or 1)
"""Default number of processes. Each may hold three GB, and a framework computes large arrays in
several threads."""


def run_trials(
    trials: Sequence[Trial],
    store: Store,
    entries: Sequence[DiscoveredImplementation],
    report: Report = lambda *_: None,
    jobs: int = 1,
    monitor: Monitor | None = None,
    left_out: str | None = None,
) -> list[Record]:
    """Run the trials without a record, and return the records of all trials, in order.

    Each record is written as soon as its trial ends: an interrupted run is continued.

    Args:
        trials: the trials.
        store: the store of the records.
        entries: the implementations. Other processes make their own from where they were found.
        report: called with the number of trials done and the last one.
        jobs: number of processes; 1 means this process.
        monitor: is told what is to be run, and through its journal what begins and ends.
        left_out: what of the benchmark is not among the trials, in words.

    Raises:
        LoptbenchError: the store cannot be written, a process died, or an implementation cannot be
            handed to another process.
    """
    store.put_plan(
        Plan(
            trials=tuple(trial.key for trial in trials),
            implementations=tuple(
                ImplementationState(
                    name=entry.name, availability=str(entry.availability), reason=entry.reason
                )
                for entry in entries
            ),
            left_out=left_out,
        )
    )
    missing = [trial for trial in trials if store.get(trial.key) is None]
    n_done = len(trials) - len(missing)
    report(n_done, f"{n_done} are there already" if n_done else "")
    if monitor is not None:
        monitor.begin((trial.key for trial in missing), n_done)
    journal = monitor.journal if monitor is not None else Journal()
    groups = first_answer_first(_groups(missing))
    for descriptions in _run_all(groups, store, entries, jobs, journal):
        n_done += len(descriptions)
        report(n_done, descriptions[-1])
    records = [store.get(trial.key) for trial in trials]
    present = [record for record in records if record is not None]
    if len(present) < len(trials):
        raise StoreError(f"records vanished from {store.folder} during the run; run again")
    return present


def _groups(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Groups of trials that share a long computation: the evaluation of the baselines."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        key = trial.key
        group: tuple[str, ...] = (key.name,)
        if key.trial is TrialKind.EVALUATION:
            group = key.implementation, key.task
        groups.setdefault(group, []).append(trial)
    return list(groups.values())


def _run_all(
    groups: Sequence[Sequence[Trial]],
    store: Store,
    entries: Sequence[DiscoveredImplementation],
    jobs: int,
    journal: Journal,
) -> Iterator[list[str]]:
    """Run all groups; yields the descriptions of a group's trials when the group has ended."""
    store = Store(store.folder.resolve())  # a process that is kept may be in another folder
    if jobs == 1:
        for group in groups:
            yield _run(group, store, journal)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads):
        pool = Parallel(return_as="generator_unordered", max_nbytes=None, pre_dispatch=jobs)
        caller = Caller(os.getpid(), tuple(sys.path), TASKS, journal)
        try:
            yield from pool(
                delayed(_run_elsewhere)(Packed(group, entries), store, caller) for group in groups
            )
        except BrokenProcessPool as error:
            raise LoptbenchError(
                "a process that ran trials died, perhaps for want of memory; call again, with "
                "--jobs 1 if it happens again: it goes on from what is there"
            ) from error
        except PicklingError as error:
            # The cause is a traceback as text, in quotes; its last line says what it was.
            _, _, reason = str(error.__cause__).strip('"\n').rpartition("\n")
            raise LoptbenchError(
                f"an implementation cannot be handed to another process ({reason}); call again "
                "with --jobs 1"
            ) from error


class Caller(NamedTuple):
    """What another process has to know of the one that called it.

    Attributes:
        process: the number of its process.
        search_path: where it finds modules.
        tasks: its tasks; `digits` may be on the user's MNIST.
        journal: where to tell what begins and ends.
    """

    process: int
    search_path: Sequence[str]
    tasks: Mapping[str, Task]
    journal: Journal


def _run_elsewhere(packed: bytes | Packed, store: Store, caller: Caller) -> list[str]:
    if os.getpid() != caller.process:
        # Ctrl-C goes to all processes. The caller stops the others, which print no traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_with(caller.process)
    TASKS.update(caller.tasks)
    return _run(unpack(packed, caller.search_path), store, caller.journal)


def _run(trials: Sequence[Trial], store: Store, journal: Journal) -> list[str]:
    for trial in trials:
        journal.began(trial.key)
        start, compiled_before = time.monotonic(), _compilation_seconds(trial)
        status, message, result = _guarded(trial)
        compiling = _compilation_seconds(trial)
        if compiling is not None and compiled_before is not None:
            compiling = round(compiling - compiled_before, 3)
        provenance = Provenance(
            **machine(),
            seconds=round(time.monotonic() - start, 3),
            compile_seconds=compiling,
        )
        store.put(
            Record(
                key=trial.key,
                status=status,
                message=message,
                result=result,
                provenance=provenance,
            )
        )
        journal.ended(trial.key, status, message)
    return [str(trial.key) for trial in trials]


def _compilation_seconds(trial: Trial) -> float | None:
    """The seconds of compilation so far; None if the implementation does not say."""
    if not isinstance(trial.implementation, Compiles):
        return None
    return trial.implementation.compilation_seconds()


def _guarded(trial: Trial) -> TrialOutcome:
    try:
        return trial.run()
    except Exception as error:
        return TrialStatus.FAILED, f"raised {type(error).__name__}: {error}", None
