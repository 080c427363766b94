"""States and gradients at which an optimizer is checked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Array, Optimizer

Float = NDArray[np.float64]

N_RUNS = 16
N_RUN_STEPS = 40
"""Components and steps of the run whose states are sampled. Most checks take as many components,
because a framework may compile once for each number of components."""

MIN_LOG10_GRADIENT, MAX_LOG10_GRADIENT = -3.0, 3.0
"""Range of the gradients' magnitudes, as powers of ten."""

MAX_BATCHES = 12
MAX_SAMPLED_NUMBERS = 2**15
"""Number of samples as a multiple of `N_RUNS`, and of the numbers in all their states together."""


class Samples(NamedTuple):
    """States met in a run under random gradients, each with a gradient.

    Attributes:
        state: (n, n_state), all finite.
        gradient: (n,); spread evenly over the logarithm, of both signs.
    """

    state: Array
    gradient: Float

    def some(self, n: int) -> "Samples":
        """At most `n` of the samples, evenly spaced."""
        indices = np.linspace(0, len(self.gradient) - 1, min(n, len(self.gradient))).astype(int)
        return Samples(self.state[indices], self.gradient[indices])

    def reordered(self, order: NDArray[np.int64] | slice) -> "Samples":
        """The samples with these indices."""
        return Samples(self.state[order], self.gradient[order])


def sample_states(optimizer: Optimizer) -> Samples:
    """States of different components at different steps, in random order.

    The run starts at the initial state. Each component has gradients around a magnitude of its
    own, from small to large. A state that is not finite is left out.

    Args:
        optimizer: any optimizer.

    Raises:
        ContractError: the state has another dtype after a step than before.
    """
    rng = np.random.default_rng(0)
    state = np.array(optimizer.initial_state(N_RUNS))
    states = [state]
    for _ in range(N_RUN_STEPS):
        before = state.dtype
        state, _ = checked_step(optimizer, state.copy(), _random_gradients(rng))
        if state.dtype != before:
            raise ContractError(
                f"the state must keep its dtype, but step was handed {before} and returned "
                f"{state.dtype}"
            )
        states.append(state)
    met = np.concatenate(states)
    n_batches = MAX_SAMPLED_NUMBERS // (N_RUNS * max(1, met.shape[1]))
    n = N_RUNS * int(np.clip(n_batches, 1, MAX_BATCHES))
    usable = np.flatnonzero(np.all(np.isfinite(met), axis=1))  # the initial states are
    chosen = np.resize(rng.permutation(usable), n)
    chosen[0] = 0  # the initial state, with the smallest gradient
    sizes = np.logspace(MIN_LOG10_GRADIENT, MAX_LOG10_GRADIENT, len(chosen))
    signs = np.where(np.arange(len(chosen)) % 2, -1.0, 1.0)
    return Samples(met[chosen], sizes * signs)


def _random_gradients(rng: np.random.Generator) -> Float:
    """A gradient for each component of the run, within a factor of ten of its own magnitude."""
    sizes = np.logspace(MIN_LOG10_GRADIENT, MAX_LOG10_GRADIENT, N_RUNS)
    return np.asarray(sizes * 10.0 ** rng.uniform(-1, 1, N_RUNS) * rng.choice([-1.0, 1.0], N_RUNS))
