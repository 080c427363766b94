"""Principal components of a set of states, to show a trajectory in two or three dimensions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


class PrincipalAxes(NamedTuple):
    """The axes along which points vary most.

    Attributes:
        centre: the mean of the points, (n_dimensions,).
        axes: orthonormal, (n_axes, n_dimensions), the largest variance first. The sign of an axis
            makes its largest loading positive.
        share: each axis's share of the variance, (n_axes,).
    """

    centre: Float
    axes: Float
    share: Float

    @classmethod
    def of(cls, points: Float, n: int = 3) -> "PrincipalAxes":
        """The axes of points, (n_points, n_dimensions), at most `n` of them."""
        if not points.size:
            n_dimensions = points.shape[1]
            return cls(np.zeros(n_dimensions), np.zeros((0, n_dimensions)), np.zeros(0))
        centre = points.mean(axis=0)
        _, s, axes = np.linalg.svd(points - centre, full_matrices=False)
        sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
        total = float(np.sum(s**2))
        share = s**2 / total if total > 0 else np.zeros_like(s)
        return cls(centre, (sign[:, None] * axes)[:n], share[:n])

    def coordinates(self, points: Float) -> Float:
        """The coordinates of points along the axes, (n_points, n_axes)."""
        return np.asarray((points - self.centre) @ self.axes.T)


def principal_components(points: Float, n: int = 3) -> tuple[Float, Float]:
    """Coordinates of points along their principal axes, and each axis's share of the variance.

    Args:
        points: (n_points, n_dimensions).
        n: the largest number of axes.

    Returns: (n_points, ≤ n) and (≤ n,).

    >>> coordinates, share = principal_components(np.array([[0.0, 1.0], [2.0, 1.0]]), n=1)
    >>> coordinates.round(9).tolist(), share.tolist()
    ([[-1.0], [1.0]], [1.0])
    """
    principal = PrincipalAxes.of(points, n)
    return principal.coordinates(points), principal.share
