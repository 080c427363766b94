"""Intervals: compared with those of SciPy, and their coverage in simulations."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from loptbench.statistics.bootstrap import Interval, Sample, over_problems, over_seeds

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

N_SIMULATIONS = 2_000
N_RESAMPLES = 999


def ones(values: Float) -> Sample:
    return Sample(values, np.ones_like(values))


def test_the_interval_of_a_mean_is_near_scipys() -> None:
    values = np.random.default_rng(0).gamma(4.0, size=128)
    interval = over_problems(ones(values))
    for method in ("percentile", "BCa"):
        theirs = stats.bootstrap(
            (values,), np.mean, method=method, rng=np.random.default_rng(1)
        ).confidence_interval
        width = theirs.high - theirs.low
        assert interval.low == pytest.approx(theirs.low, abs=0.06 * width)
        assert interval.high == pytest.approx(theirs.high, abs=0.06 * width)
    t = stats.t.interval(0.95, 127, values.mean(), stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(t, abs=0.06 * (t[1] - t[0]))


def test_the_interval_of_a_ratio_is_near_scipys_paired_one() -> None:
    rng = np.random.default_rng(0)
    theirs = rng.gamma(5.0, size=128)
    ours = theirs * rng.uniform(0.7, 0.9, 128)
    interval = over_problems(Sample(ours, theirs))
    scipy = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = scipy.high - scipy.low
    assert interval.value == pytest.approx(ours.mean() / theirs.mean())
    assert interval.low == pytest.approx(scipy.low, abs=0.06 * width)
    assert interval.high == pytest.approx(scipy.high, abs=0.06 * width)
    # Pairing makes it narrow: numerator and denominator vary by a half, their ratio by a tenth.
    assert width < 0.05


@pytest.mark.parametrize(
    ("name", "n"), [("normal", 128), ("expon", 128), ("uniform", 128), ("normal", 8), ("normal", 5)]
)
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(name: str, n: int) -> None:
    distribution = {"normal": stats.norm, "expon": stats.expon, "uniform": stats.uniform}[name]
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(N_SIMULATIONS):
        interval = over_problems(
            ones(distribution.rvs(size=n, random_state=rng)), N_RESAMPLES, seed
        )
        covered += interval.low <= distribution.mean() <= interval.high
    assert 0.93 <= covered / N_SIMULATIONS <= 0.97


def test_the_interval_of_a_ratio_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(N_SIMULATIONS):
        theirs = rng.gamma(5.0, size=128)
        ours = theirs * rng.gamma(9.0, 0.1, size=128)
        interval = over_problems(Sample(ours, theirs), N_RESAMPLES, seed)
        covered += interval.low <= 0.9 <= interval.high
    assert 0.93 <= covered / N_SIMULATIONS <= 0.97


def test_the_interval_over_seeds_and_problems_covers_the_mean_of_both() -> None:
    """Simulated values: an effect of the seed, an effect of the problem, and noise."""
    rng = np.random.default_rng(0)
    covered, n_simulations = 0, 500
    for seed in range(n_simulations):
        of_seed, of_problem = rng.normal(0, 0.1, 8), rng.normal(0, 1.0, 100)
        values = 3 + of_seed[:, None] + of_problem + rng.normal(0, 0.3, (8, 100))
        samples = [ones(row) for row in values]
        interval = over_seeds(values.mean(axis=1), samples, N_RESAMPLES, seed)
        covered += interval.low <= 3 <= interval.high
    assert 0.93 <= covered / n_simulations <= 0.97


def test_seeds_that_agree_to_the_last_bit_have_an_interval_of_nothing() -> None:
    interval = over_seeds(np.full(6, 1.0))
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_an_interval_stays_where_its_number_can_lie() -> None:
    assert Interval(0.7, -2.1, 1.2).within(-1.0, 1.0) == Interval(0.7, -1.0, 1.0)
    assert Interval(0.7, 0.5, 0.8).within(-1.0, 1.0) == Interval(0.7, 0.5, 0.8)
    outside = Interval(1.5, 1.4, 1.6)
    assert outside.within(0.0, 1.0) == outside


def test_an_interval_knows_of_the_odd_seed_among_equal_ones() -> None:
    """A third of the resamples lack the odd seed, so the standard error sets the lower end."""
    interval = over_seeds(np.array([1.0] * 7 + [0.3])).within(0.0, 1.0)
    standard_error = 0.7 / 8  # of seven ones and an 0.3
    assert interval.low == pytest.approx(interval.value - standard_error, rel=1e-9)
    assert interval.high == 1.0
    assert over_seeds(np.array([0.1] * 7)).high == pytest.approx(0.1, rel=1e-12)
