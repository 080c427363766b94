"""Two optimizers on the same problems: other statistics than the ratio of means.

a and b are the meta-objectives of two optimizers on the same n problems; below 1, or above a half
for the probability, a is the better one.

    RatioOfTrimmedMeans           TM(a) / TM(b), the mean without the lowest and the highest quarter
    MedianRatio                   median of aᵢ / bᵢ
    ProbabilityOfImprovement      share of problems with aᵢ < bᵢ, ties counted half

TM is the interquartile mean of Agarwal et al. (2021), and a and b are trimmed each by itself. The
probability is theirs too, but of pairs on the same problem. The ratio of means is
`loptbench.statistics.bootstrap.Sample`.

A run that diverged has an infinite meta-objective. The ratio of means then says nothing, while the
trimmed means are finite as long as less than a quarter of the runs diverge, and the median as long
as less than half do. On a problem where both diverge, the ratio is 1 and the pair is a tie.
"""

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from loptbench.errors import LoptbenchError
from loptbench.statistics.bootstrap import CONFIDENCE, N_RESAMPLES, Interval, OfProblems, resamples

Float = NDArray[np.float64]

CUT = 0.25
"""The share of problems that a trimmed mean leaves out on each side."""


def ratio_of_trimmed_means(a: Float, b: Float) -> float:
    """The trimmed mean of a over that of b; NaN if both are infinite.

    >>> ratio_of_trimmed_means(np.array([0.0, 1.0, 3.0, np.inf]), np.array([1.0, 4.0, 4.0, 9.0]))
    0.5
    """
    return RatioOfTrimmedMeans(a, b).value


def median_ratio(a: Float, b: Float) -> float:
    """The median of aᵢ / bᵢ.

    >>> median_ratio(np.array([1.0, 1.0, np.inf]), np.array([2.0, 1.0, 1.0]))
    1.0
    """
    return MedianRatio(a, b).value


def probability_of_improvement(a: Float, b: Float) -> float:
    """The share of problems on which a is below b, ties counted half.

    >>> probability_of_improvement(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, np.inf]))
    0.8333333333333334
    """
    return ProbabilityOfImprovement(a, b).value


@dataclasses.dataclass(frozen=True)
class _Paired:
    """Two optimizers on the same problems.

    Attributes:
        a: the meta-objective of one on each problem, (n_problems,).
        b: that of the other.

    Raises:
        LoptbenchError: the numbers of problems differ or are zero, or a number is NaN.
    """

    a: Float
    b: Float

    def __post_init__(self) -> None:
        if self.a.shape != self.b.shape or self.a.ndim != 1 or not self.a.size:
            raise LoptbenchError(
                "two optimizers are compared on the same problems, but they have meta-objectives "
                f"of the shapes {self.a.shape} and {self.b.shape}"
            )
        if np.isnan(self.a).any() or np.isnan(self.b).any():
            raise LoptbenchError("a meta-objective is NaN; of a diverged run it should be infinite")

    @property
    def n_problems(self) -> int:
        """The number of problems."""
        return len(self.a)


@dataclasses.dataclass(frozen=True)
class RatioOfTrimmedMeans(_Paired):
    """The ratio of trimmed means, as `loptbench.statistics.bootstrap.OfProblems`."""

    @functools.cached_property
    def _sides(self) -> "tuple[_Sorted, _Sorted]":
        return _Sorted(self.a), _Sorted(self.b)

    @property
    def value(self) -> float:
        """See `OfProblems`."""
        return float(self.of_resamples(np.ones((1, self.n_problems)))[0])

    def of_resamples(self, counts: Float) -> Float:
        """See `OfProblems`."""
        a, b = self._sides
        with np.errstate(invalid="ignore", divide="ignore"):
            return a.trimmed_means(counts) / b.trimmed_means(counts)

    def leaving_one_out(self) -> Float:
        """The statistic without each problem in turn, (n_problems,), of at least two."""
        a, b = self._sides
        with np.errstate(invalid="ignore", divide="ignore"):
            return a.trimmed_means_without() / b.trimmed_means_without()

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """The percentile interval."""
        return percentile_interval(self, n_resamples, seed)


@dataclasses.dataclass(frozen=True)
class MedianRatio(_Paired):
    """The median of the ratios, as `loptbench.statistics.bootstrap.OfProblems`."""

    @functools.cached_property
    def _ratios(self) -> "_Sorted":
        ratios = np.ones_like(self.a)  # where both are infinite, or both are zero
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(self.a, self.b, out=ratios, where=self.a != self.b)
        return _Sorted(ratios)

    @property
    def value(self) -> float:
        """See `OfProblems`."""
        return float(np.median(self._ratios.values))

    def of_resamples(self, counts: Float) -> Float:
        """See `OfProblems`."""
        return self._ratios.medians(counts)

    def leaving_one_out(self) -> Float:
        """The statistic without each problem in turn, (n_problems,), of at least two."""
        return self._ratios.medians_without()

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """The interval between two order statistics, from the binomial distribution; no resamples.

        The number of ratios below the true median is Binomial(n, 1/2). The interval covers in at
        least 95 % of cases, whatever the distribution. With fewer than six problems no two order
        statistics do, and it is the whole range of the ratios.
        """
        ratios, n = self._ratios.values, self.n_problems
        below = max(0, int(stats.binom.ppf((1 - CONFIDENCE) / 2, n, 0.5)) - 1)
        return Interval(self.value, float(ratios[below]), float(ratios[n - 1 - below]))


@dataclasses.dataclass(frozen=True)
class ProbabilityOfImprovement(_Paired):
    """The share of problems that a wins, as `loptbench.statistics.bootstrap.OfProblems`."""

    @functools.cached_property
    def _wins(self) -> Float:
        return np.where(self.a == self.b, 0.5, (self.a < self.b).astype(np.float64))

    @property
    def value(self) -> float:
        """See `OfProblems`."""
        return float(np.mean(self._wins))

    def of_resamples(self, counts: Float) -> Float:
        """See `OfProblems`."""
        return np.asarray(counts @ self._wins / counts[0].sum())

    def leaving_one_out(self) -> Float:
        """The statistic without each problem in turn, (n_problems,), of at least two."""
        return np.asarray((self._wins.sum() - self._wins) / (self.n_problems - 1))

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """The exact interval of Clopper and Pearson (1934), of the binomial; no resamples.

        It covers in at least 95 % of cases. It holds also where a wins on all problems, of which
        all resamples say 1. Ties only make it cover more often: they lower the variance of a win.
        """
        n, n_wins, tail = self.n_problems, self._wins.sum(), (1 - CONFIDENCE) / 2
        low = stats.beta.ppf(tail, n_wins, n - n_wins + 1) if n_wins > 0 else 0.0
        high = stats.beta.ppf(1 - tail, n_wins + 1, n - n_wins) if n_wins < n else 1.0
        return Interval(self.value, float(low), float(high))


class _Sorted:
    """Numbers in order, for quantiles of resamples that are given as counts."""

    def __init__(self, numbers: Float) -> None:
        self.order = np.argsort(numbers, kind="stable")
        self.values = numbers[self.order]

    def medians(self, counts: Float) -> Float:
        """The median of each resample, (n_resamples,)."""
        n = int(counts[0].sum())
        # How many numbers of the resample are at most this one.
        ranks = np.cumsum(counts[:, self.order], axis=1)
        lower, upper = (self.values[np.argmax(ranks > k, axis=1)] for k in ((n - 1) // 2, n // 2))
        return np.asarray(np.where(lower == upper, lower, 0.5 * (lower + upper)))

    def trimmed_means(self, counts: Float) -> Float:
        """The mean of each resample of n without its ⌊n/4⌋ lowest and highest numbers."""
        n = int(counts[0].sum())
        cut = int(CUT * n)
        # Whole numbers of 32 bits and in place: a sixth of the time, most of which goes to memory.
        ranks = np.take(counts.astype(np.int32), self.order, axis=1)
        np.cumsum(ranks, axis=1, out=ranks)
        kept = np.diff(np.clip(ranks, cut, n - cut, out=ranks), axis=1, prepend=np.int32(cut))
        infinite = np.isinf(self.values)
        means = kept @ np.where(infinite, 0.0, self.values) / (n - 2 * cut)
        means[kept[:, infinite].any(axis=1)] = np.inf
        return np.asarray(means)

    def medians_without(self) -> Float:
        """The median of all numbers but one, by the number left out, (n,)."""
        n = len(self.values)
        rank = np.arange(n)
        # Without the number of this rank, number k is the next one from there on.
        lower, upper = (self.values[k + (rank <= k)] for k in ((n - 2) // 2, (n - 1) // 2))
        return self._by_number(np.where(lower == upper, lower, 0.5 * (lower + upper)))

    def trimmed_means_without(self) -> Float:
        """The trimmed mean of all numbers but one, by the number left out, (n,)."""
        n = len(self.values)
        cut, rank = int(CUT * (n - 1)), np.arange(n)
        first, last = cut, n - 1 - cut  # the kept ones and one more, of which one is left out
        left_out = self.values[np.clip(rank, first, last)]
        with np.errstate(invalid="ignore"):
            means = (self.values[first : last + 1].sum() - left_out) / (last - first)
        return self._by_number(means)

    def _by_number(self, by_rank: Float) -> Float:
        by_number = np.empty_like(by_rank)
        by_number[self.order] = by_rank
        return by_number


def percentile_interval(
    statistic: OfProblems, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """The quantiles of the statistic of resamples; NaN where a resample has none.

    >>> percentile_interval(MedianRatio(np.array([1.0, 3.0]), np.array([2.0, 2.0])), 99)
    Interval(value=1.0, low=0.5, high=1.5)
    """
    values = resampled(statistic, n_resamples, seed)
    tail = (1 - CONFIDENCE) / 2
    # Without interpolation: between two infinite numbers there is none.
    low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
    return Interval(statistic.value, float(low), float(high))


def resampled(statistic: OfProblems, n_resamples: int, seed: int) -> Float:
    """The statistic of resamples, (n_resamples,)."""
    blocks = resamples(statistic.n_problems, n_resamples, np.random.default_rng(seed))
    return np.concatenate([statistic.of_resamples(counts) for counts in blocks])
