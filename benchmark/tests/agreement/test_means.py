"""Means of evaluations are held to the other implementations', by what the problems earn."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from loptbench.agreement.means import (
    EarnedBound,
    Float,
    MeanComparison,
    compare_means,
    disputed,
    earned_bound,
    problems_to_measure,
)
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec, baseline, random_gru, sgd
from loptbench.rollout.evaluation import evaluated_losses, summarize
from loptbench.tasks import get_task
from loptbench.tests.study.test_held_to_reference import RoundsOtherwise

pytestmark = pytest.mark.harness

N_PROBLEMS = 96
TASK = get_task("quadratic")
BATCH = TASK.sample("evaluate", 0, range(N_PROBLEMS))
CHAOTIC = baseline("rmsprop", alpha=0.1, gamma=0.9)
CALM = random_gru(3, 0, 0.7, 0.3)


def objective(spec: OptimizerSpec) -> Float:
    return summarize(evaluated_losses(oracle(), spec, BATCH, TASK.n_steps, "float64")).objective


@pytest.fixture(scope="module")
def calm() -> Float:
    return objective(CALM)


@pytest.fixture(scope="module")
def chaotic() -> Float:
    return objective(CHAOTIC)


def compared(spec: OptimizerSpec, a: Float, b: Float) -> Sequence[MeanComparison]:
    objectives = {"a": a, "b": b}
    largest, drawn = problems_to_measure(objectives, "float64", TASK.n_parameters, 0)
    measured = [*largest, *drawn]
    batch = TASK.sample("evaluate", 0, measured)
    earned = earned_bound(oracle(), spec, batch, TASK.n_steps, "float64")
    return compare_means(objectives, earned, measured, len(drawn), "float64")


def repeats_the_first_problems(values: Float) -> Float:
    return values[np.arange(len(values)) % 24]


def is_off_on_one_problem(values: Float) -> Float:
    return np.where(np.arange(len(values)) == 77, values * (1 + 1e-6), values)


def forgets_the_last_problems(values: Float) -> Float:
    return np.where(np.arange(len(values)) >= 90, values[89], values)


def is_off_by_a_little_everywhere(values: Float) -> Float:
    return values * (1 + 1e-8)


def diverges_on_one_problem(values: Float) -> Float:
    return np.where(np.arange(len(values)) == 5, np.inf, values)


@pytest.mark.parametrize(
    "fault",
    [
        repeats_the_first_problems,
        is_off_on_one_problem,
        forgets_the_last_problems,
        is_off_by_a_little_everywhere,
        diverges_on_one_problem,
    ],
    ids=lambda fault: fault.__name__,
)
def test_a_fault_on_problems_that_a_sample_misses_is_found_and_attributed(
    fault: Callable[[Float], Float], calm: Float
) -> None:
    right, wrong = compared(CALM, calm, fault(calm))
    assert right.deviation == ""
    assert "meta-objective of problem " in wrong.deviation
    assert "but should be " in wrong.deviation


@pytest.mark.parametrize("fault", [repeats_the_first_problems, forgets_the_last_problems])
def test_a_fault_is_found_among_chaotic_problems(
    fault: Callable[[Float], Float], chaotic: Float
) -> None:
    right, wrong = compared(CHAOTIC, chaotic, fault(chaotic))
    assert (right.deviation == "", wrong.deviation != "") == (True, True)


def test_chaotic_problems_that_round_otherwise_are_no_deviation(chaotic: Float) -> None:
    class Rounding:
        dtypes = ("float64",)

        def __getattr__(self, name: str) -> object:
            return getattr(oracle(), name)

        def problems(self, *arguments: object) -> RoundsOtherwise:
            return RoundsOtherwise(oracle().problems(*arguments))

        def unroll_losses(self, *arguments: object) -> Float:
            return np.asarray(oracle().unroll(*arguments).loss)

    loss = evaluated_losses(Rounding(), CHAOTIC, BATCH, TASK.n_steps, "float64")
    other = summarize(loss).objective
    both = compared(CHAOTIC, chaotic, other)
    assert all(c.n_disputed > 0 for c in both)
    assert all(c.error / c.mean > 1e-10 and c.error <= c.bound for c in both)
    assert [c.deviation for c in both] == ["", ""]


def test_rounding_alone_disputes_nothing(calm: Float) -> None:
    rounded = calm * (1 + 4 * np.finfo(np.float64).eps)
    assert disputed(calm, rounded, "float64").size == 0
    in_float32 = calm.astype(np.float32).astype(np.float64)
    assert disputed(calm, in_float32[:50], "float32").size == 0
    assert disputed(calm, in_float32, "float64").size > 0


def test_two_that_diverge_agree_and_the_oracle_says_which_one_is_wrong() -> None:
    batch = TASK.sample("evaluate", 0, [0, 1])
    earned = earned_bound(oracle(), sgd(1e3), batch, TASK.n_steps, "float64")
    assert np.isinf(earned.objective).all()
    assert earned.bound.tolist() == [0.0, 0.0]
    diverged, hidden = np.array([np.inf, np.inf]), np.array([np.inf, 7.0])
    assert disputed(diverged, diverged, "float64").size == 0
    a, b = compare_means({"a": diverged, "b": hidden}, earned, [0, 1], 0, "float64")
    assert (a.deviation, a.n_disputed) == ("", 1)
    assert b.deviation == "meta-objective of problem 1 = 7, but should be inf ± 0"


def test_means_that_differ_by_more_than_a_sample_earns_deviate() -> None:
    """No oracle is asked about most of the problems; those that it ran are right in both."""
    a = np.full(1000, 0.5)
    b = a + np.where(np.arange(1000) < 4, 0.0, 0.1)
    nothing = EarnedBound(a[:4], np.full(4, 1e-9), np.zeros(4, bool))
    both = compare_means({"a": a, "b": b}, nothing, [0, 1, 2, 3], 4, "float64")
    assert [c.n_disputed for c in both] == [996, 996]
    assert all(c.deviation.startswith("the means differ by 0.1, but their ") for c in both)


def test_the_oracle_runs_the_largest_differences_and_a_sample_of_the_others() -> None:
    a = np.full(3000, 0.5)
    b = a + np.linspace(1e-3, 2e-3, 3000)
    largest, drawn = problems_to_measure({"a": a, "b": b}, "float64", 1000, 3)
    assert largest == [2999, 2998]
    assert len(drawn) == 2
    assert set(drawn) < set(range(2998))
    assert problems_to_measure({"a": a, "b": b}, "float64", 1000, 4)[1] != drawn
