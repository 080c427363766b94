"""Principal components of a set of states, to show a trajectory in two or three dimensions."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def principal_components(points: Float, n: int = 3) -> tuple[Float, Float]:
    """Coordinates of points along their principal axes, and each axis's share of the variance.

    Args:
        points: (n_points, n_dimensions).
        n: the largest number of axes.

    Returns: (n_points, ≤ n) and (≤ n,). The sign of an axis makes its largest loading positive.

    >>> coordinates, share = principal_components(np.array([[0.0, 1.0], [2.0, 1.0]]), n=1)
    >>> coordinates.round(9).tolist(), share.tolist()
    ([[-1.0], [1.0]], [1.0])
    """
    if not points.size:
        return np.zeros((len(points), 0)), np.zeros(0)
    centred = points - points.mean(axis=0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(vt[np.arange(len(vt)), np.abs(vt).argmax(axis=1)])
    total = float(np.sum(s**2))
    share = s**2 / total if total > 0 else np.zeros_like(s)
    return (u * s * sign)[:, :n], share[:n]
