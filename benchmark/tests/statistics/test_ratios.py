"""Trimmed means, medians and probabilities of improvement: known answers and resamples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from loptbench.errors import LoptbenchError
from loptbench.statistics.bootstrap import (
    OfProblems,
    Sample,
    over_problems,
    over_seeds,
    ratio_of_seed_means,
    resamples,
)
from loptbench.statistics.ratios import (
    MedianRatio,
    ProbabilityOfImprovement,
    RatioOfTrimmedMeans,
    median_ratio,
    probability_of_improvement,
    ratio_of_trimmed_means,
)

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]
KINDS = (Sample, RatioOfTrimmedMeans, MedianRatio, ProbabilityOfImprovement)


def pairs(n: int, seed: int = 0) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    b = rng.lognormal(sigma=0.7, size=n)
    return b * rng.lognormal(-0.2, 0.5, n), b


@pytest.mark.parametrize("n", [1, 2, 7, 40, 41, 42, 43])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resample_has_the_statistic_of_the_problems_it_holds(kind: type, n: int) -> None:
    a, b = pairs(n)
    a[n // 2] = b[n // 2]  # a tie
    statistic: OfProblems = kind(a, b)
    (counts,) = resamples(n, 30, np.random.default_rng(1))
    held = [np.repeat(np.arange(n), row.astype(int)) for row in counts]
    expected = [kind(a[rows], b[rows]).value for rows in held]
    np.testing.assert_allclose(statistic.of_resamples(counts), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7, 40, 41, 42, 43])
@pytest.mark.parametrize("kind", KINDS)
def test_leaving_one_problem_out(kind: type, n: int) -> None:
    a, b = pairs(n)
    a[n // 2] = b[n // 2]
    expected = [kind(np.delete(a, i), np.delete(b, i)).value for i in range(n)]
    np.testing.assert_allclose(kind(a, b).leaving_one_out(), expected, rtol=1e-12)


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_statistics_are_those_of_scipy_and_numpy(n: int, seed: int) -> None:
    a, b = pairs(n, seed)
    trimmed = stats.trim_mean(a, 0.25) / stats.trim_mean(b, 0.25)
    assert ratio_of_trimmed_means(a, b) == pytest.approx(trimmed, rel=1e-12)
    assert median_ratio(a, b) == pytest.approx(np.median(a / b), rel=1e-12)
    assert probability_of_improvement(a, b) == pytest.approx(np.mean(a < b), rel=1e-12)


@pytest.mark.parametrize(
    ("n_diverged", "trimmed", "median", "probability"),
    [(0, 0.5, 0.5, 1.0), (3, 0.5, 0.5, 0.75), (4, np.inf, 0.5, 8 / 12), (6, np.inf, np.inf, 0.5)],
)
def test_runs_that_diverge(
    n_diverged: int, trimmed: float, median: float, probability: float
) -> None:
    """Of twelve problems, a trimmed mean leaves out three on each side."""
    b = np.ones(12)
    a = np.array([0.5] * (12 - n_diverged) + [np.inf] * n_diverged)
    assert ratio_of_trimmed_means(a, b) == trimmed
    assert median_ratio(a, b) == median
    assert probability_of_improvement(a, b) == probability
    for kind, value in ((MedianRatio, median), (ProbabilityOfImprovement, probability)):
        interval = over_problems(kind(a, b))
        assert interval.low <= value <= interval.high


def test_where_both_diverge_neither_is_better() -> None:
    both = np.array([np.inf, np.inf])
    assert probability_of_improvement(both, both) == 0.5
    assert median_ratio(both, both) == 1
    assert np.isnan(ratio_of_trimmed_means(both, both))
    assert median_ratio(np.array([1.0]), np.array([np.inf])) == 0
    interval = over_problems(RatioOfTrimmedMeans(both, both))
    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_winning_everywhere_leaves_some_doubt() -> None:
    interval = over_problems(ProbabilityOfImprovement(np.zeros(128), np.ones(128)))
    assert interval.value == interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / 128), rel=1e-12)


@pytest.mark.parametrize(("wins", "n"), [(0, 10), (3, 10), (64, 128), (4000, 4096)])
def test_the_interval_of_a_probability_is_scipys(wins: int, n: int) -> None:
    interval = over_problems(
        ProbabilityOfImprovement((np.arange(n) >= wins).astype(np.float64), np.full(n, 0.5))
    )
    theirs = stats.binomtest(wins, n).proportion_ci(method="exact")
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


@pytest.mark.parametrize("n", [6, 7, 128, 512])
def test_the_interval_of_a_median_is_scipys(n: int) -> None:
    a, b = pairs(n)
    interval = over_problems(MedianRatio(a, b))
    theirs = stats.quantile_test(a / b, p=0.5).confidence_interval(0.95)
    assert (interval.low, interval.high) == (theirs.low, theirs.high)


@pytest.mark.parametrize(
    ("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([[1.0]], [[1.0]])]
)
def test_what_is_no_pair_of_objectives_is_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(LoptbenchError, match="meta-objective"):
        MedianRatio(np.array(a), np.array(b))


@pytest.mark.parametrize("kind", KINDS)
def test_over_seeds_adds_the_error_of_the_problems_that_all_share(kind: type) -> None:
    """Seeds that agree leave the error of the problems alone, as wide as for one seed."""
    a, b = pairs(400)
    one = kind(a, b)
    interval = over_seeds(np.full(6, one.value), [one] * 6)
    alone = over_problems(one)
    assert interval.value == pytest.approx(one.value)
    assert interval.high - interval.low == pytest.approx(alone.high - alone.low, rel=0.25)


def test_over_seeds_covers_the_mean_of_medians() -> None:
    """An effect of the seed and one of the problem, both symmetric about zero."""
    rng = np.random.default_rng(0)
    covered, n_simulations = 0, 500
    for seed in range(n_simulations):
        of_seed, of_problem = rng.normal(0, 0.02, 8), rng.normal(0, 0.2, 100)
        samples = [MedianRatio(3 + of_problem + shift, np.ones(100)) for shift in of_seed]
        interval = over_seeds(np.array([s.value for s in samples]), samples, 999, seed)
        covered += interval.low <= 3 <= interval.high
    # Of 500, 95 % are 475 with a standard deviation of 4.9; the basic interval of a median covers
    # a little less often than it says.
    assert 0.91 <= covered / n_simulations <= 0.98


def test_a_ratio_of_tasks_pairs_the_seeds() -> None:
    """What a seed does on both tasks cancels; unpaired, the interval would be far wider."""
    rng = np.random.default_rng(0)
    of_seed = rng.uniform(1, 10, 8)
    interval = ratio_of_seed_means(2 * of_seed * rng.uniform(0.99, 1.01, 8), of_seed)
    assert interval.low < 2 < interval.high
    assert interval.high - interval.low < 0.05
    with pytest.raises(LoptbenchError, match="8 on one task and 7 on the other"):
        ratio_of_seed_means(of_seed, of_seed[:7])


def test_a_ratio_of_tasks_covers_the_ratio_of_the_means() -> None:
    """Simulated: seeds with an effect on both tasks, and problems of each task, all shared."""
    rng = np.random.default_rng(0)
    covered, n_simulations = 0, 500
    for seed in range(n_simulations):
        of_seed = rng.normal(0, 0.2, 8)
        sides = []
        for mean, n_problems in ((6.0, 100), (2.0, 60)):
            of_problem = rng.gamma(4.0, 0.25, n_problems)
            own = rng.normal(1, 0.1, 8)
            sides.append(
                [
                    Sample(mean * (effect + shift) * of_problem, np.ones(n_problems))
                    for effect, shift in zip(own, of_seed, strict=True)
                ]
            )
        a, b = ([sample.value for sample in side] for side in sides)
        interval = ratio_of_seed_means(np.array(a), np.array(b), sides[0], sides[1], 999, seed)
        covered += interval.low <= 3 <= interval.high
    assert 0.92 <= covered / n_simulations <= 0.975


def test_blocks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resamples(10, 50, np.random.default_rng(0))))
    monkeypatch.setattr("loptbench.statistics.bootstrap.BLOCK", 70)
    blocks = list(resamples(10, 50, np.random.default_rng(0)))
    assert len(blocks) == 8
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (whole.sum(axis=1) == 10).all()
