"""Summaries of the learning rate along the curve of adapted states, by arm."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.mechanisms.clipping import ARM_SIGNS
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.results.schema.mechanisms import AdaptationReadings

Float = NDArray[np.float64]

MIN_POINTS_PER_ARM = 10
"""Fewest points of an arm for an elasticity or a rank correlation."""

RATE_TIE_DIGITS = 6
"""Rates whose logarithms agree to this many decimals are ties: the order of rounding errors has no
meaning."""

N_MET = 200
"""Quantiles of the gradients of one arm that stand for the gradients as they are met."""


class RatesAtQuantiles(NamedTuple):
    """η_ref at the gradients that ratios are made of.

    Attributes:
        zero: at g = 0.
        typical: at ±q50, by arm, (2,).
        large: at ±q99, by arm, (2,).
        largest: at ± the largest gradient, by arm, (2,).
    """

    zero: float
    typical: Float
    large: Float
    largest: Float

    @property
    def ratio(self) -> Float:
        """The adaptation ratio η_ref(q99) / η_ref(q50), by arm, (2,)."""
        return _ratio(self.large, self.typical)


def read_curve(
    gradients: Float, rate: Float, at: RatesAtQuantiles, statistics: GradientStatistics
) -> AdaptationReadings:
    """The other summaries of one curve.

    Args:
        gradients: g, even in log |g| on each arm, (n,).
        rate: η_ref, (n,); NaN where there is none.
        at: the rates at the quantiles of the gradients that were met.
        statistics: these gradients.
    """
    peak_rate, peak_gradient = np.full((2, 2), np.nan)
    for i, (magnitude, arm_rate) in enumerate(_arms(gradients, rate)):
        if magnitude.size:
            peak_rate[i], peak_gradient[i] = arm_rate.max(), magnitude[arm_rate.argmax()]
    met = _as_met(gradients, rate, statistics)
    return AdaptationReadings(
        ratio_to_zero=_ratio(at.large, np.full(2, at.zero)),
        ratio_to_peak=_ratio(at.large, np.fmax(peak_rate, at.large)),
        ratio_of_largest=_ratio(at.largest, at.typical),
        rank_met=rank_correlation(*met),
        rank_log=rank_correlation(gradients, rate),
        elasticity=elasticity(gradients, rate),
        peak_gradient=peak_gradient,
    )


def _ratio(numerator: Float, denominator: Float) -> Float:
    """The ratio of two rates; NaN where the denominator is not positive."""
    with np.errstate(all="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _as_met(gradients: Float, rate: Float, statistics: GradientStatistics) -> tuple[Float, Float]:
    """The gradients of each arm as often as they are met, and the rate there, interpolated.

    Returns: 200 quantiles of each arm within the range of the curve, and the rate at each, linear
        in log |g| between the points of the curve; NaN next to a point without a rate.
    """
    met, rates = [np.zeros(0)], [np.zeros(0)]
    for sign in ARM_SIGNS:
        on_arm = gradients * sign > 0
        magnitude = statistics.gradients[statistics.gradients * sign > 0] * sign
        if not magnitude.size or not on_arm.any():
            continue
        known, order = np.abs(gradients[on_arm]), np.argsort(np.abs(gradients[on_arm]))
        quantiles = np.quantile(magnitude, (np.arange(N_MET) + 0.5) / N_MET)
        quantiles = np.clip(quantiles, known.min(), known.max())
        met.append(sign * quantiles)
        rates.append(np.interp(np.log(quantiles), np.log(known[order]), rate[on_arm][order]))
    return np.concatenate(met), np.concatenate(rates)


def elasticity(gradients: Float, rate: Float) -> Float:
    """d log η / d log |g| of the negative and of the positive arm, (2,), by least squares.

    Args:
        gradients: g, (n,).
        rate: η, (n,); rates that are not positive do not count.

    Returns: NaN for an arm with fewer than 10 points.

    >>> g = np.concatenate([-np.arange(1.0, 20.0), np.arange(1.0, 5.0)])
    >>> elasticity(g, 1 / np.abs(g)).round(9).tolist()
    [-1.0, nan]
    """
    slopes = []
    for magnitude, positive_rate in _arms(gradients, rate):
        enough = magnitude.size >= MIN_POINTS_PER_ARM
        slopes.append(
            np.polyfit(np.log(magnitude), np.log(positive_rate), 1)[0] if enough else np.nan
        )
    return np.array(slopes)


def rank_correlation(gradients: Float, rate: Float) -> Float:
    """Spearman's rank correlation of η and |g|, of the negative and of the positive arm, (2,).

    Rates that agree to six digits are ties. If all rates are ties, the correlation is 0.

    Args:
        gradients: g, (n,).
        rate: η, (n,); rates that are not positive do not count.

    Returns: NaN for an arm with fewer than 10 points.

    >>> g = np.concatenate([-np.arange(1.0, 20.0), np.arange(1.0, 20.0)])
    >>> rank_correlation(g, np.where(g < 0, 1 / np.abs(g), 0.1)).round(9).tolist()
    [-1.0, 0.0]
    """
    from scipy.stats import spearmanr

    correlations = []
    for magnitude, positive_rate in _arms(gradients, rate):
        if magnitude.size < MIN_POINTS_PER_ARM:
            correlations.append(np.nan)
        elif np.ptp(positive_rate) > 10.0**-RATE_TIE_DIGITS * positive_rate.max():
            log_rate = np.round(np.log(positive_rate), RATE_TIE_DIGITS)
            correlations.append(spearmanr(magnitude, log_rate).statistic)
        else:
            correlations.append(0.0)
    return np.array(correlations)


def _arms(gradients: Float, rate: Float) -> list[tuple[Float, Float]]:
    """|g| and η of each arm, where η is a positive number."""
    arms = []
    for sign in ARM_SIGNS:
        with np.errstate(invalid="ignore"):
            usable = (gradients * sign > 0) & np.isfinite(rate) & (rate > 0)
        arms.append((np.abs(gradients[usable]), rate[usable]))
    return arms
