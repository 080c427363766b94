"""Running trials: each record once, in one process or in several, and nothing lost."""

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError
from loptbench.results.store import Store, TrialStatus
from loptbench.study.execution import run_trials
from loptbench.study.trials import Result, Trial, bind
from loptbench.tasks import TASKS, Digits


@pytest.fixture
def results(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "results")


def trial(i: int, run: Callable[[int], Result], kind: str = "test") -> Trial:
    key = {"trial": kind, "implementation": "x", "optimizer": "y", "task": "z", "seed": i}
    return Trial(key, bind(run, i))


def told(i: int) -> Result:
    return TrialStatus.OK, "", {"i": i, "process": os.getpid()}


def interrupts_itself(i: int) -> Result:
    signal.raise_signal(signal.SIGINT)
    return told(i)


def dies(i: int) -> Result:
    os._exit(1)


def fails(i: int) -> Result:
    raise ValueError("no")


def test_an_interrupted_run_goes_on_from_what_is_there(results: Store) -> None:
    ran: list[int] = []

    def run(i: int) -> Result:
        ran.append(i)
        if ran == [0, 1]:
            raise KeyboardInterrupt
        return told(i)

    trials = [trial(i, run) for i in range(3)]
    with pytest.raises(KeyboardInterrupt):
        run_trials(trials, results, [])
    assert ran == [0, 1]
    records = run_trials(trials, results, [])
    assert ran == [0, 1, 1, 2]
    assert [record.result["i"] for record in records] == [0, 1, 2]
    assert run_trials(trials, results, []) == records
    assert ran == [0, 1, 1, 2]


def test_ctrl_c_is_for_the_caller_not_for_its_other_processes(results: Store) -> None:
    """A terminal sends it to all of them: each would print a traceback, wherever it was."""
    (record,) = run_trials([trial(0, interrupts_itself)], results, [], jobs=2)
    assert record.result["process"] != os.getpid()
    before = signal.getsignal(signal.SIGINT)
    run_trials([trial(1, told)], results, [])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_in_a_trial_fails_that_trial_only(results: Store, jobs: int) -> None:
    lines: list[tuple[int, str]] = []
    trials = [trial(0, told), trial(1, fails), *(trial(i, told) for i in range(2, 6))]
    records = run_trials(trials, results, [], lambda *line: lines.append(line), jobs)
    statuses = [record.status for record in records]
    assert statuses == [TrialStatus.OK, TrialStatus.FAILED, *[TrialStatus.OK] * 4]
    assert records[1].message == "raised ValueError: no"
    assert [record.key["seed"] for record in records] == list(range(6))
    processes = {record.result["process"] for record in records if record.result}
    assert (os.getpid() in processes) == (jobs == 1)
    assert [done for done, _ in lines] == list(range(7))


@pytest.mark.parametrize("jobs", [1, 2])
def test_evaluations_of_a_task_are_run_together(results: Store, jobs: int) -> None:
    """What they share, the baselines, is found out once."""
    shared: list[int] = []

    def run(i: int) -> Result:
        shared.append(i)
        return TrialStatus.OK, "", {"before": list(shared)}

    trials = [trial(i, run, "evaluation") for i in range(3)]
    records = run_trials(trials, results, [], jobs=jobs)
    assert records[2].result["before"] == [0, 1, 2]


def test_a_process_that_was_kept_writes_into_the_folder_of_the_next_run(
    folder: Path,
) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        with contextlib.chdir(folder / name):
            run_trials([trial(0, told)], Store.create(Path("results")), [], jobs=2)
        assert len(list((folder / name / "results" / "records").iterdir())) == 1


def test_a_process_that_dies_loses_nothing_but_its_trial(results: Store) -> None:
    trials = [trial(0, told), trial(1, told), trial(2, dies)]
    with pytest.raises(LoptbenchError, match="a process that ran trials died"):
        run_trials(trials, results, [], jobs=2)
    trials[2] = trial(2, told)
    records = run_trials(trials, results, [], jobs=2)
    assert [record.result["i"] for record in records] == [0, 1, 2]


def test_what_cannot_be_handed_to_another_process_is_said(results: Store) -> None:
    lock = threading.Lock()

    def run(i: int) -> Result:
        with lock:
            return told(i)

    with pytest.raises(LoptbenchError, match=r"\(TypeError: cannot pickle .*lock.*\); call again"):
        run_trials([trial(0, run)], results, [], jobs=2)
    assert run_trials([trial(0, run)], results, [], jobs=1)[0].result["i"] == 0


def test_other_processes_have_the_same_tasks(
    results: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `--mnist`."""
    monkeypatch.setitem(TASKS, "digits", dataclasses.replace(Digits(), n_steps=7))

    def run(i: int) -> Result:
        return TrialStatus.OK, "", {"n_steps": TASKS["digits"].n_steps}

    assert run_trials([trial(0, run)], results, [], jobs=2)[0].result == {"n_steps": 7}


@pytest.mark.parametrize("name", ["reference", "torch", "jax"])
def test_implementations_can_be_handed_to_another_process(results: Store, name: str) -> None:
    if name != "reference":
        pytest.importorskip(name)
    implementation = get_implementation(name)

    def run(i: int) -> Result:
        return TrialStatus.OK, "", {"name": implementation.name}

    assert run_trials([trial(0, run)], results, [], jobs=2)[0].result == {"name": name}
