"""Running trials in one process or several: each once, and no record is lost."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from loptbench.discovery import Availability, DiscoveredImplementation
from loptbench.engines import engine
from loptbench.engines.choice import make_engine
from loptbench.errors import LoptbenchError
from loptbench.results.schema.keys import TrialKind
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.study.execution import run_trials
from loptbench.study.run import select_implementations
from loptbench.study.trials import Trial, TrialOutcome, bind
from loptbench.tasks import TASKS, Digits
from loptbench.tests.reports.made_records import conformance


@pytest.fixture
def results(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "results")


def run_in(jobs: int, trials: list[Trial], store: Store, **more: Any) -> list[Record]:
    """Run trials in so many processes of this machine."""
    entries = more.pop("entries", [])
    with make_engine(jobs=jobs) as processes:
        return run_trials(trials, store, entries, engine=processes, **more)


def trial(
    i: int, run: Callable[[int], TrialOutcome], kind: TrialKind = TrialKind.CONFORMANCE
) -> Trial:
    key = conformance(seed=i).key.model_copy(update={"trial": kind})
    return Trial(key, bind(run, i))


def outcome(message: str) -> TrialOutcome:
    """An outcome with a message and without a result."""
    return TrialStatus.OK, message, None


def report_process(i: int) -> TrialOutcome:
    return outcome(f"{i} in {os.getpid()}")


def report_threads(_: int) -> TrialOutcome:
    threads = {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}
    return outcome(str(threads))


def interrupt_itself(i: int) -> TrialOutcome:
    signal.raise_signal(signal.SIGINT)
    return report_process(i)


def exit_process(i: int) -> TrialOutcome:
    os._exit(1)


def raise_error(i: int) -> TrialOutcome:
    raise ValueError("no")


class Compiler:
    """An implementation that says that it compiled for 2.5 s in each trial."""

    def __init__(self) -> None:
        self.seconds = 10.0

    def compilation_seconds(self) -> float:
        return self.seconds

    def run(self, i: int) -> TrialOutcome:
        self.seconds += 2.5
        return outcome("compiled")


@pytest.mark.harness
def test_a_record_says_how_long_its_trial_compiled(results: Store) -> None:
    compiler = Compiler()
    compiling = dataclasses.replace(trial(0, compiler.run), implementation=compiler)
    records = run_trials([compiling, trial(1, report_process)], results, [])
    assert [record.provenance.compile_seconds for record in records] == [2.5, None]


@pytest.mark.harness
def test_an_interrupted_run_goes_on_from_what_is_there(results: Store) -> None:
    ran: list[int] = []

    def run(i: int) -> TrialOutcome:
        ran.append(i)
        if ran == [0, 1]:
            raise KeyboardInterrupt
        return report_process(i)

    trials = [trial(i, run) for i in range(3)]
    with pytest.raises(KeyboardInterrupt):
        run_trials(trials, results, [])
    assert ran == [0, 1]
    records = run_trials(trials, results, [])
    assert ran == [0, 1, 1, 2]
    assert [record.message.split()[0] for record in records] == ["0", "1", "2"]
    assert run_trials(trials, results, []) == records
    assert ran == [0, 1, 1, 2]


@pytest.mark.harness
def test_ctrl_c_is_for_the_caller_not_for_its_other_processes(results: Store) -> None:
    """A terminal sends SIGINT to all processes, and each would print a traceback."""
    (record,) = run_in(2, [trial(0, interrupt_itself)], results)
    assert record.message != f"0 in {os.getpid()}"
    before = signal.getsignal(signal.SIGINT)
    run_trials([trial(1, report_process)], results, [])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.harness
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_in_a_trial_fails_that_trial_only(results: Store, jobs: int) -> None:
    lines: list[tuple[int, str]] = []
    trials = [
        trial(0, report_process),
        trial(1, raise_error),
        *(trial(i, report_process) for i in range(2, 6)),
    ]
    records = run_in(jobs, trials, results, report=lambda *line: lines.append(line))
    statuses = [record.status for record in records]
    assert statuses == [TrialStatus.OK, TrialStatus.FAILED, *[TrialStatus.OK] * 4]
    assert records[1].message == "raised ValueError: no"
    assert [record.key.seed for record in records] == list(range(6))
    processes = {record.message.split()[-1] for record in records if record.message[0].isdigit()}
    assert (str(os.getpid()) in processes) == (jobs == 1)
    assert [n_done for n_done, _ in lines] == list(range(7))


@pytest.mark.harness
def test_what_raised_an_exception_is_tried_again(results: Store) -> None:
    """And so is what was handed its record. What failed with a result is not."""
    ran: list[int] = []

    def run(i: int, given: Record | None = None) -> TrialOutcome:
        ran.append(i)
        if i == 0 and ran.count(0) == 1:
            raise MemoryError
        if i == 2:
            return TrialStatus.FAILED, "deviates", conformance().result
        return outcome(f"after {given.message}" if given else "there")

    first, other = trial(0, run, TrialKind.EVALUATION), trial(2, run)
    later = dataclasses.replace(trial(1, run, TrialKind.EVALUATION), after=first.key)
    messages = [record.message for record in run_trials([first, later, other], results, [])]
    assert messages == ["raised MemoryError: ", "after raised MemoryError: ", "deviates"]
    assert ran == [0, 1, 2]
    messages = [record.message for record in run_trials([first, later, other], results, [])]
    assert messages == ["there", "after there", "deviates"]
    run_trials([first, later, other], results, [])
    assert ran == [0, 1, 2, 0, 1]


@pytest.mark.harness
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_is_handed_the_record_of_another(results: Store, jobs: int) -> None:
    """As the evaluations of a task: that of the baselines is made once, and read again."""
    first = trial(0, report_process, TrialKind.EVALUATION)

    def run(i: int, given: Record | None) -> TrialOutcome:
        return outcome(f"{i} after {given.message.split()[0] if given else None}")

    later = [
        dataclasses.replace(trial(i, report_process, TrialKind.EVALUATION), after=first.key)
        for i in range(1, 4)
    ]
    later = [dataclasses.replace(each, run=bind(run, each.key.seed)) for each in later]
    alone = run_in(jobs, later[:1], results)
    assert [record.message for record in alone] == ["1 after None"]
    records = run_in(jobs, [later[0], later[1], first], results)
    assert [record.message for record in records[:2]] == ["1 after None", "2 after 0"]
    assert run_in(jobs, [later[2]], results)[0].message == "3 after 0"


@pytest.mark.harness
def test_a_process_that_was_kept_writes_into_the_folder_of_the_next_run(
    folder: Path,
) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        with contextlib.chdir(folder / name):
            run_in(2, [trial(0, report_process)], Store.create(Path("results")))
        assert len(list((folder / name / "results" / "records").iterdir())) == 1


@pytest.mark.harness
def test_a_process_that_dies_loses_nothing_but_its_trial(
    results: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_LOST", 2)
    trials = [trial(0, report_process), trial(1, report_process), trial(2, exit_process)]
    message = "a process that ran trials died, 2 times in the same one"
    with pytest.raises(LoptbenchError, match=message):
        run_in(2, trials, results)
    assert len(results.records()[0]) == 2
    trials[2] = trial(2, report_process)
    records = run_in(2, trials, results)
    assert [record.message.split()[0] for record in records] == ["0", "1", "2"]


@pytest.mark.harness
def test_what_cannot_be_handed_to_another_process_is_said(results: Store) -> None:
    lock = threading.Lock()

    def run(i: int) -> TrialOutcome:
        with lock:
            return report_process(i)

    with pytest.raises(LoptbenchError, match=r"\(TypeError: cannot pickle .*lock.*\); call again"):
        run_in(2, [trial(0, run)], results)
    assert run_in(1, [trial(0, run)], results)[0].message.startswith("0 in")


@pytest.mark.harness
def test_other_processes_have_the_same_tasks(
    results: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `--mnist`."""
    monkeypatch.setitem(TASKS, "digits", dataclasses.replace(Digits(), n_steps=7))

    def run(i: int) -> TrialOutcome:
        return outcome(str(TASKS["digits"].n_steps))

    assert run_in(2, [trial(0, run)], results)[0].message == "7"


class Remembering:
    """An implementation that remembers in which process it was made, and what it was told."""

    name = "remembering"
    optimizers, tasks, dtypes = ("sgd",), (), ("float64",)
    devices, versions = ("cpu",), ()

    def __init__(self) -> None:
        self.made_in = os.getpid()
        self.told: list[str] = []

    def optimizer(self, *_: object) -> None:
        """Not needed."""

    problems = optimizer


@pytest.mark.harness
@pytest.mark.parametrize("jobs", [1, 2])
def test_every_other_process_makes_its_own_implementation(results: Store, jobs: int) -> None:
    """What an implementation remembers, and what cannot be pickled, stays where it is."""
    mine = Remembering()
    mine.told.append("while the trials were planned")
    vars(mine)["lock"] = threading.Lock()
    source = f"{Remembering.__module__}:{Remembering.__qualname__}"
    entries = [
        DiscoveredImplementation("mine", source, Availability.INSTALLED, implementation=mine)
    ]

    def run(i: int) -> TrialOutcome:
        return outcome(f"made here: {mine.made_in == os.getpid()}, told {len(mine.told)}")

    records = run_in(jobs, [trial(i, run) for i in range(3)], results, entries=entries)
    expected = f"made here: True, told {1 if jobs == 1 else 0}"
    assert [record.message for record in records] == [expected] * 3


@pytest.mark.harness
def test_an_implementation_that_another_process_cannot_make_is_named(results: Store) -> None:
    mine = Remembering()
    entries = [
        DiscoveredImplementation("mine", "nowhere:Mine", Availability.INSTALLED, "", "", mine)
    ]

    def run(i: int) -> TrialOutcome:
        return outcome(mine.name)

    with pytest.raises(LoptbenchError, match="there is no module 'nowhere' to import nowhere:Mine"):
        run_in(2, [trial(0, run)], results, entries=entries)


@pytest.mark.conformance
@pytest.mark.parametrize("name", ["reference", "torch", "jax"])
def test_implementations_are_made_in_another_process(results: Store, name: str) -> None:
    if name != "reference":
        pytest.importorskip(name)
    found = select_implementations([name])
    implementation = found[0].implementation

    def run(i: int) -> TrialOutcome:
        return outcome(implementation.name)

    assert run_in(2, [trial(0, run)], results, entries=found)[0].message == name


KILLED_RUN = """
import os, sys, time
from pathlib import Path
from loptbench.results.store import Store
from loptbench.tests.study.test_execution import run_in, trial

def work(i):
    Path(f"{os.getpid()}.worker").touch()
    while True:
        sum(range(10**5))

if __name__ == "__main__":
    run_in(2, [trial(i, work) for i in range(2)], Store.create(Path("results")))
"""


@pytest.mark.harness
@pytest.mark.skipif(os.name != "posix", reason="kills processes, as POSIX does")
def test_other_processes_end_with_one_that_is_killed(folder: Path) -> None:
    (folder / "killed_run.py").write_text(KILLED_RUN)
    process = subprocess.Popen([sys.executable, "killed_run.py"])
    try:
        assert becomes_true(lambda: len([*folder.glob("*.worker")]) == 2)
        workers = [int(file.stem) for file in folder.glob("*.worker")]
        assert all(is_running(worker) for worker in workers)
    finally:
        process.kill()
        process.wait()
    assert becomes_true(lambda: not any(is_running(worker) for worker in workers))


def becomes_true(condition: Callable[[], bool]) -> bool:
    """Whether a condition becomes true within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    if Path("/proc/self/stat").exists():  # one that ended may wait for its new parent to notice
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_trial_has_one_thread_of_blas_also_in_this_process(results: Store) -> None:
    with threadpool_limits(2, user_api="blas"):
        [record] = run_in(1, [trial(0, report_threads)], results)
        assert record.message == "{1}"
        assert report_threads(0)[1] == "{2}"
