"""What a run shows while it goes on: what runs, what failed, and how long the rest will take."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from loptbench import progress
from loptbench.engines.choice import make_engine
from loptbench.progress import Status, plain_line, watching
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.results.schema.records import TrialStatus
from loptbench.results.store import Store
from loptbench.study.estimates import Estimates, expected_seconds
from loptbench.study.execution import run_trials
from loptbench.study.monitor import Monitor
from loptbench.study.order import first_answer_first
from loptbench.study.trials import Trial, TrialOutcome

pytestmark = pytest.mark.harness


def key(
    name: str,
    task: str = "quadratic",
    trial: TrialKind = TrialKind.MECHANISMS,
    implementation: str = "torch",
    role: Role = Role.CHECKPOINT,
) -> TrialKey:
    return TrialKey(
        trial=trial,
        implementation=implementation,
        source="here",
        versions={},
        code="",
        optimizer=OptimizerId(role=role, name=name),
        weights=None,
        task=task,
        problems={},
        seed=0,
        dtype="float64",
        device="cpu",
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


A, B, C, D = (key(name) for name in "abcd")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monitor(clock: Clock) -> Monitor:
    monitor = Monitor(clock)
    monitor.begin([A, B, C, D], n_there=6)
    return monitor


def test_a_monitor_says_what_runs_now_and_each_failure_once(monitor: Monitor) -> None:
    status = monitor.look()
    assert (status.done, status.total, status.running) == (6, 10, [])
    monitor.began(A)
    assert monitor.look().running == ["mechanisms of checkpoint a on quadratic in torch"]
    monitor.ended(A, TrialStatus.FAILED, "it is wrong\nin many words")
    monitor.began(B)
    status = monitor.look()
    assert (status.done, status.running) == (
        7,
        ["mechanisms of checkpoint b on quadratic in torch"],
    )
    failure = "failed: mechanisms of checkpoint a on quadratic in torch, float64: it is wrong"
    assert status.news == [failure]
    monitor.ended(B, TrialStatus.DIVERGED, "it diverged")
    status = monitor.look()
    assert (status.done, status.running, status.news) == (8, [], [])


def test_the_time_left_falls_while_a_trial_runs_and_follows_what_trials_took(
    monitor: Monitor, clock: Clock
) -> None:
    expected = expected_seconds(A)
    assert monitor.look().seconds_left == pytest.approx(4 * expected)
    monitor.began(A)
    monitor.look()
    clock.now = expected / 2
    assert monitor.look().seconds_left == pytest.approx(3.5 * expected)
    clock.now = 100 * expected
    monitor.ended(A, TrialStatus.OK, "")
    slow = monitor.look().seconds_left
    assert slow > 30 * expected
    monitor.began(B)
    monitor.look()
    clock.now += 1000 * expected
    assert monitor.look().seconds_left > 0


def test_a_trial_whose_worker_was_lost_begins_again(monitor: Monitor, clock: Clock) -> None:
    monitor.began(A)
    clock.now = 7.0
    monitor.began(A)
    assert monitor.running[A.name].since == 7.0
    monitor.ended(A, TrialStatus.OK, "")
    assert monitor.look()[:2] == (7, 10)


def test_estimates_grow_with_the_task_and_learn_from_other_kinds() -> None:
    estimates = Estimates()
    assert estimates.seconds(key("a", "digits")) > estimates.seconds(key("a", "quadratic"))
    before = (
        estimates.seconds(key("a", "digits")),
        estimates.seconds(key("a", implementation="jax")),
    )
    for _ in range(3):
        estimates.observe(A, 10 * expected_seconds(A))
    after = estimates.seconds(key("a", "digits")), estimates.seconds(key("a", implementation="jax"))
    assert all(b > a for a, b in zip(before, after, strict=True))
    assert estimates.seconds(B) / expected_seconds(B) > after[1] / before[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_trials_tell_the_monitor_that_they_begin_and_end(jobs: int, tmp_path: Path) -> None:
    monitor = Monitor()
    trials = [Trial(A, lambda: (TrialStatus.FAILED, "no", None)), Trial(B, fails)]
    with make_engine(jobs=jobs) as engine:
        run_trials(trials, Store.create(tmp_path / "store"), [], engine=engine, monitor=monitor)
    status = monitor.look()
    assert (status.done, status.total) == (2, 2)
    assert sorted(line.partition("float64: ")[2] for line in status.news) == [
        "no",
        "raised ValueError: wrong",
    ]


def fails() -> TrialOutcome:
    raise ValueError("wrong")


def test_the_first_verdict_comes_first() -> None:
    def of(trial: TrialKind, task: str, implementation: str, role: Role) -> Trial:
        return Trial(key("x", task, trial, implementation, role), fails)

    trials = [
        of(TrialKind.CONFORMANCE, "quadratic", "jax", Role.CASE),
        of(TrialKind.EVALUATION, "digits", "jax", Role.BASELINES),
        of(TrialKind.EVALUATION, "digits", "jax", Role.CHECKPOINT),
        of(TrialKind.MECHANISMS, "digits", "jax", Role.CHECKPOINT),
        of(TrialKind.EVALUATION, "rosenbrock", "torch", Role.BASELINES),
        of(TrialKind.EVALUATION, "rosenbrock", "torch", Role.CHECKPOINT),
        of(TrialKind.MECHANISMS, "rosenbrock", "torch", Role.CHECKPOINT),
        of(TrialKind.MECHANISMS, "rosenbrock", "torch", Role.TUNED),
    ]
    groups = [[trial] for trial in trials]
    order = [trials.index(trial) for [trial] in first_answer_first(groups)]
    assert order == [4, 5, 6, 0, 1, 2, 3, 7]
    assert first_answer_first(groups[:3]) == groups[:3]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_shows_what_runs_and_news_once(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **_: Console(file=out, force_terminal=is_terminal, width=90, color_system=None),
    )
    news = [["failed: this [one]"]]

    def look() -> Status:
        return Status(3, 9, 200.0, ["a on b"], news.pop() if news else [])

    with watching("run", look) as say:
        say("first verdicts")
    text = out.getvalue()
    assert text.count("failed: this [one]") == 1
    assert text.count("first verdicts") == 1
    assert "3/9" in text
    assert "about 3 min left" in text
    assert "now: a on b" in text


def test_a_run_that_is_done_has_no_time_left() -> None:
    assert plain_line("run", Status(9, 9, 0.0)) == "run: 9/9"
