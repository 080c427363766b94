"""The simulation of a study on more workers."""

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from loptbench.cli.main import cli
from loptbench.timing.workers import Work, by_workers, longest_way, wall_time, work_of

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
    table = by_workers(timings, [1, 2, 100])
    assert table.seconds.tolist() == [14.0, 7.0, 7.0]
    assert table.busy.tolist() == [1.0, 1.0, 0.02]


@pytest.mark.parametrize("text", ["", "0", "1,x", "-3"])
def test_numbers_of_workers_that_are_none_are_refused(text: str) -> None:
    result = CliRunner().invoke(cli, ["perf", "study", "--workers", text])
    assert result.exit_code == 2
    assert "give numbers such as 1,10,100" in result.output
