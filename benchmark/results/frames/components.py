"""Principal components as columns."""

import numpy as np
from numpy.typing import NDArray

from loptbench.results.frames.columns import number


def components(points: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The first three principal components, (n_points,) each; NaN where there are fewer."""
    padded = np.full((len(points), 3), np.nan)
    padded[:, : points.shape[1]] = points
    return {f"pc{i + 1}": padded[:, i] for i in range(3)}


COMPONENTS = {f"pc{i}": number(f"the state, along the principal component {i}") for i in (1, 2, 3)}
