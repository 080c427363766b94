"""Intervals and statistics against two libraries: `arch`, and `rliable`.

rliable 1.2.0 asks for an arch below 8, which does not run with pandas 3. One argument differs: what
arch 8 calls `seed` was `random_state`. The fixture `rliable` gives arch the old name, and runs
rliable's own code. With its dependencies it cannot be installed beside arch 8, so tox installs
it without them. Outside tox its tests are skipped if it is not here.
"""

import os
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import IIDBootstrap
from numpy.typing import NDArray
from scipy import stats

from loptbench.statistics.bootstrap import Interval, Sample, over_problems, over_seeds
from loptbench.statistics.coverage import bca_interval
from loptbench.statistics.ratios import (
    MedianRatio,
    ProbabilityOfImprovement,
    RatioOfTrimmedMeans,
    percentile_interval,
    probability_of_improvement,
    ratio_of_trimmed_means,
)

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]

N_RESAMPLES = 9_999
MONTE_CARLO = 0.06
"""Tolerance of an end, in widths of the interval. An end of 10,000 resamples has a standard error
of √(0.025 · 0.975 / 10,000) / φ(1.96) = 0.027 standard errors of the statistic, or 0.007 widths of
a normal interval. Both sides have it. The longer arm of a skewed interval has several times as
much."""


def losses(seed: int = 0, n: int = 128) -> tuple[Float, Float]:
    """Meta-objectives of two optimizers on the same problems, skewed as they are."""
    rng = np.random.default_rng(seed)
    b = rng.lognormal(sigma=0.8, size=n)
    return b * rng.lognormal(-0.2, 0.4, n), b


def of_arch(*data: Float, function: Any, method: Any, **arguments: Any) -> tuple[float, float]:
    bootstrap = IIDBootstrap(*data, seed=np.random.default_rng(1))
    low, high = bootstrap.conf_int(function, reps=N_RESAMPLES, method=method, **arguments).ravel()
    return float(low), float(high)


def assert_near(
    ours: Interval, theirs: tuple[float, float], tolerance: float = MONTE_CARLO
) -> None:
    width = theirs[1] - theirs[0]
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=tolerance * width)


def ratio_of_means(a: Float, b: Float) -> float:
    return float(a.mean() / b.mean())


def standard_error(_: Any, a: Float, b: Float) -> Float:
    """By the delta method, of the covariance of the two means."""
    (aa, ab), (_, bb) = np.cov(a, b) / len(a)
    ratio, mean = a.mean() / b.mean(), b.mean()
    return np.array([np.sqrt(aa - 2 * ratio * ab + ratio**2 * bb) / mean])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_studentized_interval_of_a_ratio_of_means_is_archs(seed: int) -> None:
    a, b = losses(seed)
    theirs = of_arch(
        a, b, function=ratio_of_means, method="studentized", std_err_func=standard_error
    )
    assert_near(over_problems(Sample(a, b)), theirs)


def test_the_studentized_interval_over_seeds_is_archs() -> None:
    values = np.random.default_rng(0).gamma(4.0, size=8)
    theirs = of_arch(
        values,
        function=lambda x: x.mean(),
        method="studentized",
        std_err_func=lambda _, x: np.array([x.std(ddof=1) / np.sqrt(len(x))]),
    )
    assert_near(over_seeds(values), theirs)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize(
    "kind", [Sample, pytest.param(RatioOfTrimmedMeans, marks=pytest.mark.slow)]
)
def test_the_intervals_that_coverage_compares_with_are_archs(kind: type, method: str) -> None:
    a, b = losses()
    function = ratio_of_means if kind is Sample else trimmed
    ours = (percentile_interval if method == "percentile" else bca_interval)(
        kind(a, b), N_RESAMPLES, 0
    )
    assert_near(ours, of_arch(a, b, function=function, method=method))


def trimmed(a: Float, b: Float) -> float:
    return float(stats.trim_mean(a, 0.25) / stats.trim_mean(b, 0.25))


def test_the_exact_intervals_hold_those_of_resamples_and_are_little_wider() -> None:
    a, b = losses()
    for statistic, function in (
        (MedianRatio(a, b), lambda x, y: np.median(x / y)),
        (ProbabilityOfImprovement(a, b), lambda x, y: np.mean(x < y)),
    ):
        ours = over_problems(statistic)
        low, high = of_arch(a, b, function=function, method="percentile")
        width = high - low
        assert ours.low < low + MONTE_CARLO * width
        assert ours.high > high - MONTE_CARLO * width
        assert ours.high - ours.low < 1.25 * width


def test_a_planted_fault_is_outside_the_tolerance() -> None:
    """The basic interval, of the same resamples turned around, is no studentized one."""
    a, b = losses()
    studentized = of_arch(
        a, b, function=ratio_of_means, method="studentized", std_err_func=standard_error
    )
    low, high = of_arch(a, b, function=ratio_of_means, method="basic")
    with pytest.raises(AssertionError):
        assert_near(Interval(ratio_of_means(a, b), low, high), studentized)


@pytest.fixture
def rliable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Rliable's `library` and `metrics`, with arch's old name of the argument `seed`."""
    original = IIDBootstrap.__init__

    def with_old_name(self: Any, *data: Any, random_state: Any = None, **named: Any) -> None:
        original(self, *data, seed=random_state, **named)

    try:
        import rliable.library as library
        import rliable.metrics as metrics
    except ImportError:
        if os.environ.get("LOPTBENCH_REQUIRE"):
            raise
        pytest.skip("rliable is not here: pip install --no-deps rliable absl-py")
    monkeypatch.setattr(IIDBootstrap, "__init__", with_old_name)
    return library, metrics


def test_the_trimmed_mean_is_rliables_interquartile_mean(rliable: Any) -> None:
    _, metrics = rliable
    for n in (3, 4, 128, 130):
        a, b = losses(n=n)
        expected = metrics.aggregate_iqm(a[:, None]) / metrics.aggregate_iqm(b[:, None])
        assert ratio_of_trimmed_means(a, b) == pytest.approx(expected, rel=1e-12)


def test_the_interval_of_a_trimmed_mean_is_rliables(
    rliable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, metrics = rliable
    # rliable draws from NumPy's global generator.
    monkeypatch.setattr(np.random, "choice", np.random.RandomState(0).choice)
    a, _ = losses()
    _, intervals = library.get_interval_estimates(
        {"a": a[:, None]},
        lambda scores: np.array([metrics.aggregate_iqm(scores)]),
        reps=N_RESAMPLES,
    )
    ours = over_problems(RatioOfTrimmedMeans(a, np.ones_like(a)))
    assert_near(ours, tuple(intervals["a"].ravel()))


def test_the_probability_of_improvement_is_rliables(rliable: Any) -> None:
    """Of one run of each optimizer on each problem. rliable's scores are better if higher."""
    _, metrics = rliable
    a, b = losses()
    a[:5] = b[:5]  # ties
    expected = metrics.probability_of_improvement(-a[None], -b[None])
    assert probability_of_improvement(a, b) == pytest.approx(expected, rel=1e-12)
