"""Coverage: of intervals that hold, and of one that cannot."""

import numpy as np
import pytest
from scipy import stats

from loptbench.statistics.bootstrap import Sample
from loptbench.statistics.coverage import METHODS, STATISTICS, bca_interval, coverage
from loptbench.statistics.ratios import RatioOfTrimmedMeans, percentile_interval

pytestmark = pytest.mark.harness

N_SAMPLES = 400
ERROR = 3.3 * np.sqrt(0.95 * 0.05 / N_SAMPLES)
"""3.3 standard errors of a share of 95 %: chance exceeds them once in a thousand times."""


def losses(tail: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Two optimizers' losses; those of the second fall off like a Pareto law of this index."""
    rng = np.random.default_rng(0)
    b = rng.pareto(tail, n) + 0.1
    return np.minimum(b, 1) * rng.gamma(4.0, 0.2, n), b


@pytest.mark.parametrize("statistic", [name for name in STATISTICS if name != "ratio of means"])
def test_intervals_of_robust_statistics_cover_under_heavy_tails(statistic: str) -> None:
    found = coverage(*losses(1.0), statistic, "own", 60, N_SAMPLES, 499)
    assert found.share > 0.95 - ERROR
    assert found.n_covered + found.n_above + found.n_below == N_SAMPLES


def test_the_interval_of_a_ratio_of_means_covers_where_tails_are_light() -> None:
    found = coverage(*losses(8.0), "ratio of means", "own", 60, N_SAMPLES, 499)
    assert abs(found.share - 0.95) < ERROR


@pytest.mark.parametrize("method", METHODS)
def test_no_interval_of_a_ratio_of_means_covers_where_the_mean_does_not_exist(method: str) -> None:
    """The few losses that decide the mean are in no sample: every interval lies above the ratio."""
    found = coverage(*losses(1.0), "ratio of means", method, 60, N_SAMPLES, 499)
    assert found.share < 0.9 - ERROR
    assert found.n_above > 10 * found.n_below


def test_the_own_interval_of_a_ratio_of_means_covers_most() -> None:
    shares = {
        method: coverage(*losses(1.5), "ratio of means", method, 60, N_SAMPLES, 499).share
        for method in METHODS
    }
    assert shares["own"] > max(shares["percentile"], shares["BCa"])


@pytest.mark.parametrize(
    "kind", [Sample, pytest.param(RatioOfTrimmedMeans, marks=pytest.mark.slow)]
)
def test_bca_and_percentile_are_scipys(kind: type) -> None:
    a, b = (column[:80] for column in losses(3.0))
    for ours, method in ((bca_interval, "BCa"), (percentile_interval, "percentile")):
        interval = ours(kind(a, b), 9_999, 0)
        theirs = stats.bootstrap(
            (a, b),
            lambda x, y: kind(x, y).value,
            paired=True,
            vectorized=False,
            method=method,
            rng=np.random.default_rng(1),
        ).confidence_interval
        width = theirs.high - theirs.low
        assert interval.low == pytest.approx(theirs.low, abs=0.05 * width)
        assert interval.high == pytest.approx(theirs.high, abs=0.05 * width)
