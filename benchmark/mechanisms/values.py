"""What probes answer where they have no answer, and a few words on numbers that all of them use."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Trajectory

Float = NDArray[np.float64]

BLOWN_UP = 1e6


@dataclasses.dataclass(frozen=True)
class NotApplicable:
    """A probe that has no answer here, and why; it stands in the place of a number."""

    reason: str

    def as_dict(self) -> dict[str, str]:
        """For programs."""
        return {"not_applicable": self.reason}


@dataclasses.dataclass(frozen=True)
class GradientStatistics:
    """The gradients that were met on real runs.

    Attributes:
        gradients: (n_problems, n); of a run that blew up, to a million times its first loss or
            more, those of the first step alone, padded with zero.
        typical: the median of |g|, without zeros.
        smallest: the 1 % quantile of |g|, without zeros.
        largest: the largest |g|.
    """

    gradients: Float
    typical: float
    smallest: float
    largest: float

    @classmethod
    def from_run(cls, run: Trajectory | None) -> "GradientStatistics":
        """The gradients of a run; without one, or one without a gradient, those around 1."""
        if run is not None:
            by_problem = np.moveaxis(run.gradient, 1, 0).reshape(run.gradient.shape[1], -1)
            with np.errstate(all="ignore"):
                went_well = np.all(run.loss <= BLOWN_UP * np.abs(run.loss[0]), axis=0)
                first = np.arange(by_problem.shape[1]) < run.gradient.shape[2]
                counts = (went_well[:, None] | first) & np.isfinite(by_problem)
                usable = np.where(counts, by_problem, 0.0)
            sizes = np.abs(usable[usable != 0])
            if sizes.size:
                typical, smallest = np.quantile(sizes, [0.5, 0.01])
                return cls(usable, float(typical), float(smallest), float(sizes.max()))
        return cls(np.zeros((0, 0)), 1.0, 1e-2, 1e1)


def or_none(value: float) -> float | None:
    """A number for JSON, which knows none that is not finite."""
    return float(value) if math.isfinite(value) else None


def listed(values: Float) -> Any:
    """An array for JSON: nested lists, with None in place of what is not finite."""
    array = np.asarray(values, np.float64)
    known = array.astype(object)
    known[~np.isfinite(array)] = None
    return known.tolist()


def principal_components(points: Float, n: int = 3) -> tuple[Float, Float]:
    """Coordinates of points along their principal axes, and each axis's share of the variance.

    Args:
        points: (n_points, n_dimensions).
        n: how many axes at most.

    Returns: (n_points, ≤ n) and (≤ n,); the sign of an axis makes its largest loading positive.
    """
    if not points.size:
        return np.zeros((len(points), 0)), np.zeros(0)
    centred = points - points.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
    total = float(np.sum(s**2))
    share = s**2 / total if total > 0 else np.zeros_like(s)
    return (u * s * sign)[:, :n], share[:n]
