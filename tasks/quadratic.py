"""Random convex quadratics: the paper's random linear regression, as least squares with AᵀA = H."""

import dataclasses
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import CheckSettings, ProblemBatch, as_indices, require_positive
from loptbench.tasks.streams import generator


@dataclasses.dataclass(frozen=True)
class Quadratic:
    """f(x) = ½ xᵀHx + vᵀx + c, with minimum zero (the authors' published configuration).

    H has a random orthonormal basis (uniform over the orthogonal group) and eigenvalues
    10^U(log₁₀ l, log₁₀ L); v and x₀ are standard normal; c makes the minimum of f zero.

    The arrays of a batch: `H` (n_problems, n, n), exactly symmetric; `v` (n_problems, n);
    `c` (n_problems,).

    Attributes:
        n_parameters: n, the dimension; this scales the task.
        eigenvalues: (l, L), the range that the eigenvalues of H are drawn from.
        n_steps: the number of inner steps.

    Example:
        >>> Quadratic().sample("evaluate", 0, range(3)).initial_parameters.shape
        (3, 5)
    """

    n_parameters: int = 5
    eigenvalues: tuple[float, float] = (1e-3, 1.0)
    n_steps: int = 201
    name: str = dataclasses.field(default="quadratic", init=False)
    checks: ClassVar[CheckSettings] = CheckSettings(resized={"n_parameters": 2}, scales=(0.7, 0.3))

    def __post_init__(self) -> None:
        require_positive(self.name, n_parameters=self.n_parameters, n_steps=self.n_steps)
        low, high = self.eigenvalues
        if not 0 < low <= high < np.inf:
            raise LoptbenchError(
                f"the eigenvalues of `quadratic` need 0 < l <= L < inf, but they are {low}, {high}"
            )

    @property
    def n_floats(self) -> int:
        """H, and four vectors such as x and Hx."""
        return self.n_parameters * (self.n_parameters + 4)

    def sample(self, split: str, seed: int, indices: Iterable[int]) -> ProblemBatch:
        """See `loptbench.tasks.Task`."""
        indices = as_indices(indices)
        drawn = [self._draw(generator(self.name, split, seed, index)) for index in indices]
        H, v, c, x0 = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
        layout = {"x": (self.n_parameters,)}
        return ProblemBatch(
            self.name, x0, layout, {"H": H, "v": v, "c": c}, {}, split, seed, indices
        )

    def _draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
        n = self.n_parameters
        # Q of a Gaussian matrix is uniform once the diagonal of R is made positive (Mezzadri 2007).
        Q, R = np.linalg.qr(rng.standard_normal((n, n)))
        Q = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
        low, high = np.log10(self.eigenvalues)
        eigenvalues = 10 ** rng.uniform(low, high, size=n)
        H: NDArray[np.float64] = (Q * eigenvalues) @ Q.T
        v = rng.standard_normal(n)
        # min f = c − ½ vᵀH⁻¹v = 0
        c = np.asarray(0.5 * np.sum((Q.T @ v) ** 2 / eigenvalues))
        x0 = rng.standard_normal(n)
        return 0.5 * (H + H.T), v, c, x0
