"""Running the trials that have no record yet, with an engine."""

import time
from collections.abc import Iterable, Sequence

from threadpoolctl import threadpool_limits

from loptbench.discovery import DiscoveredImplementation
from loptbench.engines.engine import Call, Chain, Engine, Fork, Needs
from loptbench.engines.local import ThisProcess
from loptbench.errors import StoreError
from loptbench.progress import Report
from loptbench.protocol import Compiles
from loptbench.results.provenance import machine
from loptbench.results.schema.keys import TrialKind
from loptbench.results.schema.plan import ImplementationState, Plan
from loptbench.results.schema.records import Provenance, Record, TrialStatus
from loptbench.results.store import Store
from loptbench.study.monitor import Monitor
from loptbench.study.order import first_answer_first
from loptbench.study.trials import Trial, TrialOutcome

NEEDS = Needs(memory=3 * 10**9)
"""What a trial may take."""


def run_trials(
    trials: Sequence[Trial],
    store: Store,
    entries: Sequence[DiscoveredImplementation],
    report: Report = lambda *_: None,
    engine: Engine | None = None,
    monitor: Monitor | None = None,
    left_out: str | None = None,
    kept: Sequence[str] = (),
) -> list[Record]:
    """Run the trials without a record, and return the records of all trials, in order.

    Each record is written as soon as its trial ends: an interrupted run is continued. A trial that
    raised an exception is tried again: memory or a disk may have been full.

    Args:
        trials: the trials.
        store: the store of the records. Only the calling process writes it.
        entries: the implementations. Other processes make their own from where they were found.
        report: called with the number of trials done and the last one.
        engine: what runs the trials; this process if None.
        monitor: is told what is to be run, and what begins and ends.
        left_out: what of the benchmark is not among the trials, in words.
        kept: the learned optimizers whose mechanisms are not, as they are kept for the
            confirmation of the claims.

    Raises:
        LoptbenchError: the store cannot be written, a process died in a trial again and again, or
            an implementation cannot be handed to another process.
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
            kept=tuple(kept) or None,
        )
    )
    missing = [trial for trial in trials if _is_to_be_run(trial, store)]
    n_there = len(trials) - len(missing)
    report(n_there, f"{n_there} are there already" if n_there else "")
    monitor = monitor or Monitor()
    monitor.begin((trial.key for trial in missing), n_there)
    run = _Run(store, entries, monitor, report, n_there)
    (engine or ThisProcess()).run(map(run.group, first_answer_first(_groups(missing))))
    records = [store.get(trial.key) for trial in trials]
    present = [record for record in records if record is not None]
    if len(present) < len(trials):
        raise StoreError(f"records vanished from {store.folder} during the run; run again")
    return present


def _is_to_be_run(trial: Trial, store: Store) -> bool:
    """Whether it has no record, or it, or the one whose record it is handed, raised an error."""
    handed = store.get(trial.after) if trial.after is not None else None
    record = store.get(trial.key)
    return record is None or _raised(record) or (handed is not None and _raised(handed))


def _raised(record: Record) -> bool:
    return record.status is TrialStatus.FAILED and record.result is None


class _Run:
    """Trials as an engine's chains, which write the records."""

    def __init__(
        self,
        store: Store,
        entries: Sequence[DiscoveredImplementation],
        monitor: Monitor,
        report: Report,
        n_done: int,
    ) -> None:
        self.store, self.monitor, self.report, self.n_done = store, monitor, report, n_done
        self.implementations = {
            entry.source: entry.implementation for entry in entries if entry.implementation
        }

    def group(self, trials: Sequence[Trial]) -> Chain[None]:
        """First the trials that stand alone, then side by side those that need their records."""
        for trial in trials:
            if trial.after is None:
                yield from self.one(trial)
        yield Fork([self.one(trial) for trial in trials if trial.after is not None])

    def one(self, trial: Trial) -> Chain[None]:
        """Run a trial and write its record."""
        given = self.store.get(trial.after) if trial.after is not None else None
        record = yield Call(
            run_trial,
            (trial, given),
            self.implementations,
            NEEDS,
            lambda: self.monitor.began(trial.key),
        )
        self.store.put(record)
        self.monitor.ended(trial.key, record.status, record.message)
        self.n_done += 1
        self.report(self.n_done, str(trial.key))


def _groups(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Groups of trials of which some need the record of another: evaluations of one task."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        key = trial.key
        group: tuple[str, ...] = (key.name,)
        if key.trial is TrialKind.EVALUATION:
            group = key.implementation, key.task
        groups.setdefault(group, []).append(trial)
    return list(groups.values())


def run_trial(trial: Trial, given: Record | None) -> Record:
    """Run a trial, in whatever process.

    Args:
        trial: the trial.
        given: the record of the trial that this one comes after, if there is one.
    """
    start, compiled_before = time.monotonic(), _compilation_seconds(trial)
    # As in the processes of `--jobs 2`. Where other programs run, two threads of BLAS wait for each
    # other.
    with threadpool_limits(1, user_api="blas"):
        status, message, result = _guarded(trial, given)
    compiling = _compilation_seconds(trial)
    if compiling is not None and compiled_before is not None:
        compiling = round(compiling - compiled_before, 3)
    provenance = Provenance(
        **machine(), seconds=round(time.monotonic() - start, 3), compile_seconds=compiling
    )
    return Record(
        key=trial.key, status=status, message=message, result=result, provenance=provenance
    )


def _compilation_seconds(trial: Trial) -> float | None:
    """The seconds of compilation so far; None if the implementation does not say."""
    if not isinstance(trial.implementation, Compiles):
        return None
    return trial.implementation.compilation_seconds()


def _guarded(trial: Trial, given: Record | None) -> TrialOutcome:
    try:
        return trial.run() if trial.after is None else trial.run(given)
    except Exception as error:
        return TrialStatus.FAILED, f"raised {type(error).__name__}: {error}", None
