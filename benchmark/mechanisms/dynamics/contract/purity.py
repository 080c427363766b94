"""A step depends on its state and its gradient alone, and changes neither."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import ContractError
from loptbench.global_state import other_seeds, other_value
from loptbench.mechanisms.dynamics.contract.samples import N_RUNS, Samples
from loptbench.mechanisms.dynamics.linearization import checked_step
from loptbench.protocol import Array, Optimizer

Float = NDArray[np.float64]

RELATIVE_ROUNDING = 1e-12
"""Relative difference of two equal steps; a library may add in another order the second time."""

OTHER_SEEDS = 1, 2, 3
"""Seeds of the process under which a step is repeated."""

REMEMBERS = (
    "step returned something else for the same state and gradient: all that it remembers must be "
    "in the state, and it must draw nothing"
)


class Recording(NamedTuple):
    """A step and what it returned.

    Attributes:
        optimizer: the optimizer.
        samples: the arguments.
        initial_state: what `initial_state` returned for one component, (1, n_state).
        new_state: a copy of the new states.
        update: a copy of the updates.
    """

    optimizer: Optimizer
    samples: Samples
    initial_state: Array
    new_state: Array
    update: Float

    @classmethod
    def make(cls, optimizer: Optimizer, samples: Samples) -> "Recording":
        """Record the step of a few samples."""
        few = samples.some(N_RUNS)
        new_state, update = checked_step(optimizer, few.state.copy(), few.gradient.copy())
        initial_state = np.array(optimizer.initial_state(1))
        return cls(optimizer, few, initial_state, new_state.copy(), update.copy())

    def require_the_same(self, reason: str = REMEMBERS) -> None:
        """Repeat the step, and require the same numbers.

        Raises:
            ContractError: they differ; `reason` is the message.
        """
        state, gradient = self.samples.state, self.samples.gradient
        repeated = checked_step(self.optimizer, state.copy(), gradient.copy())
        for a, b in zip((self.new_state, self.update), repeated, strict=True):
            if not np.allclose(a, b, rtol=RELATIVE_ROUNDING, atol=0, equal_nan=True):
                raise ContractError(reason)
        initial_state = np.asarray(self.optimizer.initial_state(1))
        if not np.array_equal(self.initial_state, initial_state):
            raise ContractError("initial_state returned something else than the first time")


def require_pure(optimizer: Optimizer, samples: Samples) -> None:
    """Check that a step leaves its arguments alone, remembers nothing, and draws nothing.

    Raises:
        ContractError: it does not.
    """
    few = samples.some(N_RUNS)
    state, gradient = few.state.copy(), few.gradient.copy()
    returned = checked_step(optimizer, state, gradient)
    copies = tuple(part.copy() for part in returned)
    if not (_same(state, few.state) and _same(gradient, few.gradient)):
        raise ContractError("step must not change the state or the gradient that it is handed")
    recording = Recording.make(optimizer, samples)
    reversed_samples = samples.reordered(slice(None, None, -1))
    checked_step(optimizer, reversed_samples.state.copy(), reversed_samples.gradient.copy())
    checked_step(optimizer, few.state.copy(), 3 * gradient)
    if not all(map(_same, copies, returned)):
        raise ContractError("the arrays that step returned were changed by a later call")
    recording.require_the_same()
    for seed in OTHER_SEEDS:
        with other_seeds(seed):
            recording.require_the_same(
                "step depends on the seed of random, numpy.random or torch: it must draw nothing"
            )
    with other_value("torch's grad mode", False) as is_other:
        if is_other and _steps(optimizer, few):
            recording.require_the_same("step depends on torch's grad mode")


def _same(a: Array, b: Array) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _steps(optimizer: Optimizer, samples: Samples) -> bool:
    """Whether a step is possible at all."""
    try:
        checked_step(optimizer, samples.state.copy(), samples.gradient.copy())
    except Exception:
        return False
    return True
