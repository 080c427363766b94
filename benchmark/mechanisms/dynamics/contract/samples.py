"""States and gradients at which an optimizer is checked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Array, Optimizer, Trajectory

Float = NDArray[np.float64]

N_RUNS = 20
N_RUN_STEPS = 40
"""Components and steps of the run whose states are sampled. Most checks take as many components,
because a framework may compile once for each number of components."""

MIN_LOG10_GRADIENT, MAX_LOG10_GRADIENT = -3.0, 3.0
"""Range of the gradients' magnitudes, as powers of ten."""

SCALE_AT_ZERO = 1e-3
"""Scale on which a gradient of zero is varied: that of the smallest gradients."""

SMALLEST_MET = 1e-6
"""Smallest gradient of real runs, relative to the largest, at which derivatives are compared."""

LARGEST_MET = 1e100
"""Largest gradient and state variable of real runs at which derivatives are compared: of larger
ones, as in runs that diverge, products overflow and finite differences are no numbers."""

MAX_BATCHES = 10
MAX_SAMPLED_NUMBERS = 2**15
"""Number of samples as a multiple of `N_RUNS`, and of the numbers in all their states together."""


class Samples(NamedTuple):
    """States met in a run under random gradients, each with a gradient.

    Attributes:
        state: (n, n_state), all finite.
        gradient: (n,); spread evenly over the logarithm, of both signs.
        gradient_scale: the scale on which to vary each gradient, (n,).
    """

    state: Array
    gradient: Float
    gradient_scale: Float

    def some(self, n: int) -> "Samples":
        """At most `n` of the samples, evenly spaced."""
        indices = np.linspace(0, len(self.gradient) - 1, min(n, len(self.gradient))).astype(int)
        return self.reordered(indices)

    def reordered(self, order: NDArray[np.int64] | slice) -> "Samples":
        """The samples with these indices."""
        return Samples(*(part[order] for part in self))

    def partly_at_zero(self) -> "Samples":
        """The samples, every fourth one without a gradient: most probes measure there."""
        zero = np.arange(len(self.gradient)) % 4 == 1
        return self._replace(
            gradient=np.where(zero, 0.0, self.gradient),
            gradient_scale=np.where(zero, SCALE_AT_ZERO, self.gradient_scale),
        )


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
    return Samples(met[chosen], sizes * signs, sizes)


def samples_of_run(run: Trajectory) -> Samples:
    """States of real runs with their gradients, of different components from all steps.

    Gradients so small that their squares vanish beside the others are left out: runs that have
    converged have many. So are those of runs that are about to overflow.
    """
    n_steps = len(run.gradient)
    gradient = run.gradient.reshape(n_steps, -1)
    with np.errstate(invalid="ignore"):
        usable = np.abs(gradient) < LARGEST_MET
        usable &= np.all(np.abs(run.state[:-1]) < LARGEST_MET, axis=2)
        largest = np.abs(gradient[usable]).max(initial=0.0)
        usable &= np.abs(gradient) > SMALLEST_MET * largest
    step, component = np.nonzero(usable)
    chosen = np.linspace(0, step.size - 1, min(N_RUNS, step.size)).astype(int)
    step, component = step[chosen], component[chosen]
    met = gradient[step, component]
    return Samples(run.state[step, component], met, np.abs(met))


def _random_gradients(rng: np.random.Generator) -> Float:
    """A gradient for each component of the run, within a factor of ten of its own magnitude."""
    sizes = np.logspace(MIN_LOG10_GRADIENT, MAX_LOG10_GRADIENT, N_RUNS)
    return np.asarray(sizes * 10.0 ** rng.uniform(-1, 1, N_RUNS) * rng.choice([-1.0, 1.0], N_RUNS))
