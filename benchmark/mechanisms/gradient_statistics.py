"""The gradients of real runs, and their statistics, which set the scales of the probes."""

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Trajectory

Float = NDArray[np.float64]

MAX_RELATIVE_LOSS = 1e6
"""Largest loss, relative to the first, of a run that counts as bounded."""

LARGE_QUANTILE = 0.99
"""Quantile of |g| that counts as a large gradient."""

SMALLEST_QUANTILE = 0.01
"""Quantile of |g| that counts as the smallest gradient."""


@dataclasses.dataclass(frozen=True)
class GradientStatistics:
    """The gradients of real runs; zeros do not count.

    Attributes:
        gradients: (n_problems, n). Of a run that blew up, only the gradients of the first step,
            padded with zeros.
        typical: the median of |g|.
        smallest: the 1 % quantile of |g|.
        largest: the largest |g|.
    """

    gradients: Float
    typical: float
    smallest: float
    largest: float

    @functools.cached_property
    def large(self) -> float:
        """The 99 % quantile of |g|; the largest if no gradients are met."""
        magnitudes = np.abs(self.gradients[self.gradients != 0])
        return float(np.quantile(magnitudes, LARGE_QUANTILE)) if magnitudes.size else self.largest

    @classmethod
    def from_run(cls, run: Trajectory | None) -> "GradientStatistics":
        """The statistics of a run; without gradients, default scales around 1.

        >>> GradientStatistics.from_run(None).largest
        10.0
        """
        if run is not None:
            by_problem = np.moveaxis(run.gradient, 1, 0).reshape(run.gradient.shape[1], -1)
            with np.errstate(all="ignore"):
                bounded = np.all(run.loss <= MAX_RELATIVE_LOSS * np.abs(run.loss[0]), axis=0)
                in_first_step = np.arange(by_problem.shape[1]) < run.gradient.shape[2]
                usable = (bounded[:, None] | in_first_step) & np.isfinite(by_problem)
                gradients = np.where(usable, by_problem, 0.0)
            magnitudes = np.abs(gradients[gradients != 0])
            if magnitudes.size:
                typical, smallest = np.quantile(magnitudes, [0.5, SMALLEST_QUANTILE])
                return cls(gradients, float(typical), float(smallest), float(magnitudes.max()))
        return cls(np.zeros((0, 0)), 1.0, 1e-2, 1e1)
