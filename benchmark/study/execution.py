"""Running the trials whose record is not there yet, in several processes."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pickle import PicklingError
from typing import Any

from joblib import Parallel, delayed, parallel_config

from loptbench.discovery import DiscoveredImplementation
from loptbench.errors import LoptbenchError, StoreError
from loptbench.progress import Report
from loptbench.results.provenance import machine
from loptbench.results.store import Record, Store, TrialStatus, key_hash
from loptbench.study.trials import Result, Trial
from loptbench.tasks import TASKS, Task

JOBS = min(2, os.cpu_count() or 1)
"""Processes, unless asked otherwise: each may hold three GB, and a framework has threads of its own
for what is large."""


def run_trials(
    trials: Sequence[Trial],
    store: Store,
    entries: Iterable[DiscoveredImplementation],
    report: Report = lambda *_: None,
    jobs: int = 1,
) -> list[Record]:
    """Run what is not in the store yet, and return the records of all trials, in order.

    Each record is written as soon as its trial ends: interrupted, the next call goes on from there.

    Args:
        trials: what there is to find out.
        store: where records are and go.
        entries: the implementations, for the plan.
        report: told how many trials are done, and which one was the last.
        jobs: in how many processes; 1 for this one.

    Raises:
        LoptbenchError: the store cannot be written, a process died, or an implementation cannot be
            handed to another process.
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
    missing = [trial for trial in trials if store.get(trial.key) is None]
    done = len(trials) - len(missing)
    report(done, f"{done} are there already" if done else "")
    for ended in _run_all(_scopes(missing), store, jobs):
        done += len(ended)
        report(done, ended[-1])
    records = [store.get(trial.key) for trial in trials]
    found = [record for record in records if record is not None]
    if len(found) < len(trials):
        raise StoreError(f"records vanished from {store.folder} during the run; run again")
    return found


def _scopes(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Trials that share what takes long to find out, together: the baselines of an evaluation."""
    scopes: dict[Any, list[Trial]] = {}
    for trial in trials:
        key = trial.key
        scope: Any = key_hash(key)
        if key["trial"] == "evaluation":
            scope = key["implementation"], key["task"]
        scopes.setdefault(scope, []).append(trial)
    return list(scopes.values())


def _run_all(scopes: Sequence[Sequence[Trial]], store: Store, jobs: int) -> Iterator[list[str]]:
    """Run them all; yields the names of the trials of each scope when it has ended."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    store = Store(store.folder.resolve())  # a process that is kept may be in another folder
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads):
        # Large arrays travel as they are, not as files in memory that cannot be written to.
        pool = Parallel(return_as="generator_unordered", max_nbytes=None, pre_dispatch=jobs)
        try:
            yield from pool(delayed(_run)(scope, store, TASKS, os.getpid()) for scope in scopes)
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


def _run(
    trials: Sequence[Trial], store: Store, tasks: Mapping[str, Task], caller: int
) -> list[str]:
    if os.getpid() != caller:
        # Ctrl-C goes to all processes; the caller stops the others, and none of them has to say so.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    TASKS.update(tasks)  # in another process, `digits` is not yet on the user's MNIST
    for trial in trials:
        start = time.monotonic()
        result = _guarded(trial)
        seconds = round(time.monotonic() - start, 3)
        store.put(Record(trial.key, *result, {**machine(), "seconds": seconds}))
    return [trial.words for trial in trials]


def _guarded(trial: Trial) -> Result:
    try:
        return trial.run()
    except Exception as error:
        return TrialStatus.FAILED, f"raised {type(error).__name__}: {error}", {}
