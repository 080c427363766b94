"""95 % bootstrap intervals, over problems and over meta-training seeds.

The intervals of a mean, and of a ratio of means, are those of the studentized bootstrap (Efron and
Tibshirani 1993, §12.5): the distribution of t = (m* − m) / se* over resamples stands for that of
(m − μ) / se. For five or eight seeds the percentile interval covers the mean in 83 or 89 % of
cases; this one covers it in 95 %, and in 93 % if the distribution is skewed.

If several of few seeds have the same value, many resamples hold that value alone, and no interval
made of resamples covers as it should. Example: eight seeds that are 1 with probability 0.7 and
uniform below 1 otherwise. This interval covers their mean in 77 % of cases.

Three sources of error are told apart, and added where there are several:

    over_problems           one optimizer; its problems are drawn at random
    over_seeds              the mean over seeds; all seeds share the problems
    ratio_of_seed_means     the same on two tasks, seeds in pairs, each task's own problems

`loptbench.statistics.ratios` has other statistics of two optimizers on the same problems.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError

Float = NDArray[np.float64]

CONFIDENCE = 0.95
N_RESAMPLES = 1_999
"""Resamples of problems. They place an end of an interval to a fiftieth of its width; more take
longer than the run of the problems."""
N_SEED_RESAMPLES = 9_999
"""Resamples of seeds."""
FEWEST_SEEDS = 5
"""The fewest seeds with an interval: three numbers have only ten different resamples."""

ZERO_SPREAD = 1e-12
"""Relative standard error below which numbers count as equal: rounding alone gives 1e-16."""

BLOCK = 2**20
"""Largest number of draws that are held at once; it bounds the memory."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval.

    Attributes:
        value: the number.
        low: the lower end.
        high: the upper end.
    """

    value: float
    low: float
    high: float

    def within(self, least: float, greatest: float) -> "Interval":
        """The part of the interval in which the number can lie; it covers as often.

        Returns the whole interval if the value itself lies outside.

        >>> Interval(0.7, -2.1, 1.2).within(-1.0, 1.0)
        Interval(value=0.7, low=-1.0, high=1.0)
        """
        if not least <= self.value <= greatest:
            return self
        return Interval(self.value, max(self.low, least), min(self.high, greatest))


class OfProblems(Protocol):
    """A statistic of one set of problems: what the bootstrap needs of it."""

    @property
    def n_problems(self) -> int:
        """The number of problems."""

    @property
    def value(self) -> float:
        """The statistic."""

    def of_resamples(self, counts: Float) -> Float:
        """The statistic of resamples of the problems, (n_resamples,).

        Args:
            counts: how often each resample holds each problem, (n_resamples, n_problems). All
                resamples hold equally many, which need not be n_problems.
        """

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """Its 95 % interval over problems.

        Args:
            n_resamples: the number of resamples.
            seed: the seed of the resampling.
        """


@dataclasses.dataclass(frozen=True)
class Sample:
    """A ratio of means over problems, Σ numerator / Σ denominator.

    With a denominator of ones it is a mean.

    Attributes:
        numerator: of each problem, (n_problems,).
        denominator: of each problem, (n_problems,).

    >>> Sample(np.array([1.0, 2.0]), np.array([2.0, 4.0])).value
    0.5
    """

    numerator: Float
    denominator: Float

    @property
    def n_problems(self) -> int:
        """The number of problems."""
        return len(self.numerator)

    @property
    def value(self) -> float:
        """The ratio."""
        return float(np.sum(self.numerator) / np.sum(self.denominator))

    def of_resamples(self, counts: Float) -> Float:
        """See `OfProblems`."""
        return np.asarray((counts @ self.numerator) / (counts @ self.denominator))

    def leaving_one_out(self) -> Float:
        """The statistic without each problem in turn, (n_problems,), of at least two."""
        a, b = self.numerator, self.denominator
        return np.asarray((a.sum() - a) / (b.sum() - b))

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """The studentized interval.

        The standard error of the ratio is, to first order, that of the mean of
        z = (numerator − ratio · denominator) / mean denominator. Its ends are NaN if a number is
        infinite.
        """
        if not (np.isfinite(self.numerator).all() and np.isfinite(self.denominator).all()):
            return Interval(self.value, np.nan, np.nan)
        rng = np.random.default_rng(seed)
        errors = _resampled_errors(self.numerator, self.denominator, n_resamples, rng)
        return _interval(self.value, errors)


def over_problems(statistic: OfProblems, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """The interval of a statistic whose problems are drawn at random.

    Args:
        statistic: the statistic, with the numbers of each problem.
        n_resamples: the number of resamples.
        seed: the seed of the resampling.

    >>> over_problems(Sample(np.array([1.0, 2.0]), np.array([2.0, 4.0])))
    Interval(value=0.5, low=0.5, high=0.5)
    """
    return statistic.interval(n_resamples, seed)


def over_seeds(
    values: Float,
    samples: Sequence[OfProblems] | None = None,
    n_resamples: int = N_SEED_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The interval of the mean of a statistic over seeds, and over problems if it depends on them.

    The two errors are independent. Each is resampled by itself, and they are added: the error of
    the seeds, and that of the problems, which all seeds share.

    Args:
        values: the statistic of each seed, (n_seeds,).
        samples: the statistic of each seed, of the same problems; None if it does not depend on
            problems.
        n_resamples: the number of resamples of the seeds.
        seed: the seed of the resampling.

    >>> over_seeds(np.array([0.9, 0.9, 0.9, 0.9, 0.9]))
    Interval(value=0.9, low=0.9, high=0.9)
    """
    rng = np.random.default_rng(seed)
    errors = _resampled_errors(values, np.ones(len(values)), n_resamples, rng)
    if samples:
        mean = np.mean([sample.value for sample in samples])
        errors += _means_over_seeds(samples, n_resamples, rng) - mean
    return _interval(float(np.mean(values)), errors)


def ratio_of_seed_means(
    numerator: Float,
    denominator: Float,
    numerator_samples: Sequence[OfProblems] | None = None,
    denominator_samples: Sequence[OfProblems] | None = None,
    n_resamples: int = N_SEED_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The interval of the mean over seeds on one task over that on another task.

    Seeds are pairs: the same number on both tasks. Three independent errors are added: that of the
    pairs, which are resampled together, and those of the problems of either task.

    Args:
        numerator: the statistic of each seed on one task, (n_seeds,).
        denominator: the same on the other task, seeds in the same order, (n_seeds,).
        numerator_samples: the statistic of each seed, of the problems of the first task; None if it
            does not depend on problems.
        denominator_samples: the same of the other task.
        n_resamples: the number of resamples of the pairs.
        seed: the seed of the resampling.

    Raises:
        LoptbenchError: the tasks have different numbers of seeds.

    >>> ratio_of_seed_means(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    Interval(value=2.0, low=2.0, high=2.0)
    """
    if len(numerator) != len(denominator):
        raise LoptbenchError(
            f"seeds of two tasks are compared in pairs, but there are {len(numerator)} on one task "
            f"and {len(denominator)} on the other"
        )
    rng = np.random.default_rng(seed)
    ratio = float(np.mean(numerator) / np.mean(denominator))
    errors = _resampled_errors(numerator, denominator, n_resamples, rng)
    if numerator_samples:
        means = _means_over_seeds(numerator_samples, n_resamples, rng)
        errors += means / np.mean(denominator) - ratio
    if denominator_samples:
        means = _means_over_seeds(denominator_samples, n_resamples, rng)
        errors += np.mean(numerator) / means - ratio
    return _interval(ratio, errors)


def resamples(n: int, n_resamples: int, rng: np.random.Generator) -> Iterator[Float]:
    """How often each resample of n items holds each of them, in blocks of rows, (…, n).

    >>> [counts.sum(axis=1) for counts in resamples(3, 2, np.random.default_rng(0))]
    [array([3., 3.])]
    """
    size = max(1, BLOCK // n)
    for start in range(0, n_resamples, size):
        rows = min(size, n_resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        counts = np.bincount(drawn.reshape(-1), minlength=rows * n)
        yield counts.reshape(rows, n).astype(np.float64)


def _means_over_seeds(
    samples: Sequence[OfProblems], n_resamples: int, rng: np.random.Generator
) -> Float:
    """The mean over seeds of a statistic of resampled problems, shared by all, (n_resamples,).

    At most `N_RESAMPLES` are computed; beyond them, each is one of these, drawn at random.
    """
    blocks = resamples(samples[0].n_problems, min(n_resamples, N_RESAMPLES), rng)
    means = np.concatenate(
        [np.mean([sample.of_resamples(counts) for sample in samples], axis=0) for counts in blocks]
    )
    return means if n_resamples <= N_RESAMPLES else rng.choice(means, n_resamples)


def _resampled_errors(
    numerator: Float, denominator: Float, n_resamples: int, rng: np.random.Generator
) -> Float:
    """Errors of a ratio of means, t* times its standard error, (n_resamples,).

    With the residuals r = numerator − ratio · denominator, and sums over a resample,

        δ   = Σ r / Σ denominator                   the deviation
        r*  = r − δ · denominator                   the residuals of the resample
        se* = √(Σ r*² / (n − 1) / n) / mean denominator
    """
    n = len(numerator)
    ratio = numerator.sum() / denominator.sum()
    residual = numerator - ratio * denominator
    products = np.stack(
        [residual, denominator, residual**2, residual * denominator, denominator**2], axis=1
    )
    deviation, standard_error = _of_sums(products.sum(axis=0, keepdims=True), n)
    if standard_error[0] <= ZERO_SPREAD * abs(ratio):
        return np.zeros(n_resamples)
    sums = np.concatenate([counts @ products for counts in resamples(n, n_resamples, rng)])
    deviations, standard_errors = _of_sums(sums, n)
    # A resample that holds one number n times has no standard error to divide by.
    standard_errors[standard_errors <= ZERO_SPREAD * np.abs(deviations + ratio)] = standard_error
    return np.asarray((deviations - deviation) / standard_errors * standard_error)


def _of_sums(sums: Float, n: int) -> tuple[Float, Float]:
    """The deviations and standard errors of resamples from the five sums, each (n_resamples,)."""
    r, d, rr, rd, dd = sums.T
    deviation = r / d
    # Σ r*², written out.
    variance = np.maximum(rr - 2 * deviation * rd + deviation**2 * dd, 0.0) / (n - 1)
    return deviation, np.sqrt(variance / n) / np.abs(d / n)


def _interval(value: float, errors: Float) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(errors, [1 - tail, tail])
    return Interval(value, float(value - low), float(value - high))
