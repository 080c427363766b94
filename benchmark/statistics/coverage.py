"""How often intervals cover: samples from a population whose statistic is known.

A 95 % interval should hold the statistic of the population in 95 % of samples. For heavy-tailed
numbers it need not: the few problems that decide a mean are missing from most samples. The
package's own interval of each statistic is compared with two that are in general use, of the same
number of resamples: the percentile interval, and BCa (Efron 1987).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from loptbench.statistics.bootstrap import CONFIDENCE, Interval, OfProblems, Sample
from loptbench.statistics.ratios import (
    MedianRatio,
    ProbabilityOfImprovement,
    RatioOfTrimmedMeans,
    percentile_interval,
    resampled,
)

Float = NDArray[np.float64]


class Jackknifed(OfProblems, Protocol):
    """A statistic that BCa intervals can be made of."""

    def leaving_one_out(self) -> Float:
        """The statistic without each problem in turn, (n_problems,), of at least two."""


STATISTICS: Mapping[str, Callable[[Float, Float], Jackknifed]] = {
    "ratio of means": Sample,
    "ratio of trimmed means": RatioOfTrimmedMeans,
    "median ratio": MedianRatio,
    "probability of improvement": ProbabilityOfImprovement,
}


def bca_interval(statistic: Jackknifed, n_resamples: int, seed: int) -> Interval:
    """The bias-corrected and accelerated interval (Efron and Tibshirani 1993, §14.3).

        z₀ = Φ⁻¹(share of resamples below the statistic)
        a  = Σ dᵢ³ / (6 (Σ dᵢ²)^1.5),  dᵢ = mean − the statistic without problem i
        α  → Φ(z₀ + (z₀ + z_α) / (1 − a (z₀ + z_α)))

    Where all resamples lie on one side of the statistic there is none, and both ends are NaN.
    """
    values = resampled(statistic, n_resamples, seed)
    # Resamples that equal the statistic count half, as in SciPy.
    below = np.mean(values < statistic.value) + 0.5 * np.mean(values == statistic.value)
    bias = special.ndtri(below)
    without = statistic.leaving_one_out()
    d = without.mean() - without
    spread = np.sum(d**2)
    acceleration = np.sum(d**3) / (6 * spread**1.5) if spread > 0 else 0.0
    tail = (1 - CONFIDENCE) / 2
    z = bias + special.ndtri([tail, 1 - tail])
    levels = special.ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(values, levels) if np.isfinite(levels).all() else (np.nan, np.nan)
    return Interval(statistic.value, float(low), float(high))


def own_interval(statistic: OfProblems, n_resamples: int, seed: int) -> Interval:
    """The interval that the package reports."""
    return statistic.interval(n_resamples, seed)


METHODS: Mapping[str, Callable[[Jackknifed, int, int], Interval]] = {
    "own": own_interval,
    "percentile": percentile_interval,
    "BCa": bca_interval,
}


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How often one kind of interval covered one statistic.

    Attributes:
        statistic: the name of the statistic, of `STATISTICS`.
        method: the name of the interval, of `METHODS`.
        n_problems: the problems of each sample.
        n_samples: the number of samples.
        n_covered: the samples whose interval held the statistic of the population.
        n_above: the samples whose interval lay above it.
        n_below: the samples whose interval lay below it.
        value: the statistic of the population.
        width: the median width of the intervals.
    """

    statistic: str
    method: str
    n_problems: int
    n_samples: int
    n_covered: int
    n_above: int
    n_below: int
    value: float
    width: float

    @property
    def share(self) -> float:
        """The share of samples whose interval covered.

        >>> Coverage("median ratio", "own", 128, 2000, 1900, 50, 50, 0.9, 0.1).share
        0.95
        """
        return self.n_covered / self.n_samples


def coverage(
    a: Float,
    b: Float,
    statistic: str,
    method: str,
    n_problems: int,
    n_samples: int,
    n_resamples: int,
    seed: int = 0,
) -> Coverage:
    """How often one kind of interval covers one statistic of the population.

    Args:
        a: the meta-objectives of one optimizer on all problems of the population.
        b: those of the other on the same problems.
        statistic: the name of the statistic, of `STATISTICS`.
        method: the name of the interval, of `METHODS`.
        n_problems: the problems of each sample, drawn with replacement.
        n_samples: the number of samples.
        n_resamples: the number of resamples of each sample.
        seed: the seed of the samples; every method gets the same ones.

    >>> a = np.random.default_rng(0).gamma(2.0, size=1000)
    >>> coverage(a, np.ones(1000), "median ratio", "own", 20, 3, 99).n_samples
    3
    """
    of, interval = STATISTICS[statistic], METHODS[method]
    true = of(a, b).value
    intervals = []
    for sample in range(n_samples):
        rows = np.random.default_rng([seed, sample]).integers(0, len(a), n_problems)
        intervals.append(interval(of(a[rows], b[rows]), n_resamples, sample))
    low = np.array([item.low for item in intervals])
    high = np.array([item.high for item in intervals])
    return Coverage(
        statistic,
        method,
        n_problems,
        n_samples,
        int(np.sum((low <= true) & (true <= high))),
        int(np.sum(low > true)),
        int(np.sum(high < true)),
        true,
        float(np.median(high - low)),
    )
