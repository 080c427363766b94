"""Rank correlations."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

FEWEST = 3
"""With fewer numbers, every order is a perfect one."""


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation; NaN for fewer than three numbers, or if one side is constant.

    >>> rank_correlation([1.0, 2.0, 4.0], [9.0, 4.0, 1.0])
    -1.0
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < FEWEST or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(round(stats.spearmanr(x, y).statistic, 12))
