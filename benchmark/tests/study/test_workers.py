"""The simulation of a study on more workers."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loptbench.cli.main import cli
from loptbench.discovery import oracle
from loptbench.study.reproduce import Training
from loptbench.tasks import get_task
from loptbench.timing import from_scratch
from loptbench.timing.from_scratch import Made, made_in_the_zoo, search_seconds, training_seconds
from loptbench.timing.workers import Work, by_workers, longest_way, wall_time, work_of
from loptbench.training.settings import MetaTraining
from loptbench.tuning.search import Settings
from loptbench.zoo.catalogue import names

pytestmark = pytest.mark.harness

SECONDS = st.integers(1, 50).map(float)
WORK = st.lists(st.builds(Work, SECONDS, st.lists(SECONDS, max_size=4).map(tuple)), min_size=1)


@given(work=WORK, workers=st.integers(1, 40))
def test_the_time_lies_between_the_bounds_of_list_scheduling(
    work: list[Work], workers: int
) -> None:
    """Graham's bound: all work evenly spread, plus the longest way through it."""
    total = sum(each.seconds + sum(each.then) for each in work)
    longest = longest_way(work)
    time = wall_time(work, workers)
    assert max(total / workers, longest) <= time * (1 + 1e-12)
    assert time <= total / workers + longest * (1 - 1 / workers) + 1e-9
    assert wall_time(work, 1) == total
    assert wall_time(work, 10**6) == longest


def test_evaluations_wait_for_the_baselines_of_their_task() -> None:
    rows = [
        ("mechanisms", "jax", "digits", "checkpoint", 3.0),
        ("evaluation", "jax", "digits", "checkpoint", 2.0),
        ("evaluation", "jax", "digits", "baselines", 5.0),
        ("evaluation", "torch", "digits", "checkpoint", 4.0),
    ]
    columns = ["trial", "implementation", "task", "role", "seconds"]
    timings = pd.DataFrame(rows, columns=columns)
    assert sorted(work_of(timings)) == [Work(3.0), Work(4.0), Work(5.0, (2.0,))]
    table = by_workers(work_of(timings), [1, 2, 100])
    assert table.seconds.tolist() == [14.0, 7.0, 7.0]
    assert table.busy.tolist() == [1.0, 1.0, 0.02]


def test_trials_wait_for_all_that_is_made() -> None:
    table = by_workers([Work(2.0), Work(2.0)], [1, 2, 3], making=[Work(8.0), Work(3.0), Work(3.0)])
    assert table.making.tolist() == [14.0, 8.0, 8.0]
    assert table.seconds.tolist() == [18.0, 10.0, 10.0]
    assert table.speedup.tolist() == [1.0, 1.8, 1.8]


def test_outer_steps_of_a_kind_are_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late batches are another kind, which a meta-training that ended early has fewer of."""
    timed: list[tuple[str, int]] = []

    def one_step(names: list[str], config: MetaTraining, *_: object, **__: object) -> list[Any]:
        timed.append((names[0], config.batch_size))
        return [SimpleNamespace(seconds=config.batch_size / 100)]

    monkeypatch.setattr(from_scratch, "outer_steps", one_step)
    late = MetaTraining(n_outer_steps=10, batch_size=2, late_batch_size=5)
    usual = MetaTraining(n_outer_steps=10, batch_size=2, seed=3)
    made = [
        Made(Training("jax", late), 10),
        Made(Training("jax", late), 6),
        Made(Training("jax", usual), 10),
        Made(Training("torch", usual), 1),
    ]
    assert [*training_seconds(made)] == pytest.approx([0.02 * 7 + 0.05 * 3, 0.12, 0.2, 0.02])
    assert timed == [("jax", 2), ("jax", 5), ("torch", 2)]


def test_searches_are_estimated() -> None:
    settings = Settings(n_draws=600, n_refining=0, n_problems=2)
    search = (get_task("rosenbrock"), "sgd", settings)
    [one] = search_seconds(oracle(), [search])
    assert one > 0


def test_all_that_made_the_zoo_is_estimated_the_longest_first() -> None:
    made = made_in_the_zoo()
    by = {each.training.config.checkpoint_name(each.training.by): each for each in made}
    assert by.keys() == {*names()}
    assert made[0].training.config.n_units == 256
    assert all(each.n_outer_steps <= each.training.config.n_outer_steps for each in made)


def test_the_whole_zoo_is_simulated_with_numbers_of_workers_only() -> None:
    result = CliRunner().invoke(cli, ["perf", "study", "--whole-zoo"])
    assert result.exit_code == 2
    assert "--whole-zoo goes with --workers" in result.output


@pytest.mark.parametrize("text", ["", "0", "1,x", "-3"])
def test_numbers_of_workers_that_are_none_are_refused(text: str) -> None:
    result = CliRunner().invoke(cli, ["perf", "study", "--workers", text])
    assert result.exit_code == 2
    assert "give numbers such as 1,10,100" in result.output
