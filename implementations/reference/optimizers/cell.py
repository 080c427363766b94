"""The cell of a learned architecture in the oracle: what follows from its step and pullback."""

import numpy as np

from loptbench.implementations.reference.optimizers.base import Array, DrivesByStep
from loptbench.optimizers import OptimizerSpec, get_architecture
from loptbench.protocol import Linearization


class Cell(DrivesByStep):
    """A learned optimizer whose state starts at parameters.

    A subclass writes `step`, `pullback` and `rounding_scale`, which
    `loptbench.implementations.reference.optimizers.base.ReferenceOptimizer` describes. It may write
    `linearize` and `gain`, which are slow otherwise.
    """

    def __init__(self, spec: OptimizerSpec) -> None:
        self.p = {name: np.asarray(array, np.float64) for name, array in spec.parameters.items()}
        self.constants = dict(spec.constants)
        self.starts = get_architecture(spec.kind).starts
        self.n_units = self.p[self.starts[0]].size

    def initial_state(self, n_components: int) -> Array:
        """The parameters that the state starts at, for every component."""
        return np.tile(np.concatenate([self.p[name] for name in self.starts]), (n_components, 1))

    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        """The adjoints of the parameters that the state starts at."""
        ends = np.cumsum([self.p[name].size for name in self.starts])
        parts = np.split(state_bar.sum(axis=0), ends[:-1])
        return dict(zip(self.starts, parts, strict=True))

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """The derivatives of `step`: a pullback for each row of A and B, and one for C and D."""
        n, n_state = state.shape
        zeros, no_update = np.zeros_like(state), np.zeros(n)
        A, B = np.empty((n, n_state, n_state)), np.empty((n, n_state))
        for i in range(n_state):
            row = zeros.copy()
            row[:, i] = 1
            A[:, i], B[:, i], _ = self.pullback(state, gradient, row, no_update)
        C, D, _ = self.pullback(state, gradient, zeros, np.ones(n))
        return Linearization(A, B, C, D)

    def gain(self, state: Array, gradient: Array) -> Array:
        """D: the pullback of the update by the gradient."""
        _, D, _ = self.pullback(state, gradient, np.zeros_like(state), np.ones(len(state)))
        return D

    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        """See `ReferenceOptimizer`."""
        raise NotImplementedError
