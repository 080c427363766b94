"""The protocol checks that an optimizer must pass before the probes measure anything.

An object that a user brings may do anything. The probes would measure it all the same, and their
numbers would be wrong in silence: those of an optimizer that mixes components, for example, depend
on how many components the probes happen to measure at once. So the assumptions behind the numbers
are checked first. The checks take a few thousand steps of one component.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from loptbench.errors import ContractError
from loptbench.global_state import unchanged
from loptbench.mechanisms.dynamics.arrays import plain_array
from loptbench.mechanisms.dynamics.contract.components import require_independent_components
from loptbench.mechanisms.dynamics.contract.derivatives import (
    require_correct_gain,
    require_correct_linearize,
)
from loptbench.mechanisms.dynamics.contract.drives import require_correct_drive
from loptbench.mechanisms.dynamics.contract.pace import first_step
from loptbench.mechanisms.dynamics.contract.plain import as_plain
from loptbench.mechanisms.dynamics.contract.precision import require_float64
from loptbench.mechanisms.dynamics.contract.purity import (
    RELATIVE_ROUNDING,
    Recording,
    require_pure,
)
from loptbench.mechanisms.dynamics.contract.samples import (
    N_RUNS,
    Samples,
    sample_states,
    samples_of_run,
)
from loptbench.mechanisms.dynamics.linearization import MAX_STATE_SIZE
from loptbench.protocol import (
    Array,
    Drives,
    Gains,
    LinearizableOptimizer,
    Optimizer,
    Trajectory,
)

__all__ = [
    "checked",
    "require_derivatives_at_rest",
    "require_derivatives_on_runs",
    "require_optimizer",
]

DERIVATIVE_NUMBERS = 2**10
"""`linearize` and `gain` are compared with `step` at 20 samples; at fewer, but 8, if the numbers in
all their states would be more than this."""


def require_optimizer(optimizer: Optimizer) -> None:
    """Check that an object is an optimizer that the probes can measure.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and perhaps `linearize`,
            `drive` and `gain`.

    Raises:
        ContractError: one of these methods does not keep to the protocol.
    """
    plain = as_plain(optimizer)
    with np.errstate(all="ignore"):
        with unchanged("initial_state"):
            is_floating = _require_initial_state(optimizer)
        with unchanged("step"):
            first_step(optimizer, plain.initial_state(N_RUNS))
        with unchanged("step"):
            samples = sample_states(plain)
            require_pure(plain, samples)
            if is_floating:
                require_float64(plain, samples)
            require_independent_components(plain, samples)
        if not is_floating:
            return
        _require_correct_derivatives(plain, samples)
        if isinstance(plain, Drives):
            with unchanged("drive"):
                require_correct_drive(plain)


def require_derivatives_on_runs(optimizer: Optimizer, run: Trajectory) -> None:
    """Check an optimizer's own derivatives at states of its runs, with the gradients met there.

    Args:
        optimizer: an optimizer that has been checked.
        run: its runs; of those that diverge, the states before are used.

    Raises:
        ContractError: `linearize` or `gain` is not the derivative of `step`.
    """
    samples = samples_of_run(run)
    if samples.gradient.size and samples.state.dtype.kind == "f":
        with np.errstate(all="ignore"):
            _require_correct_derivatives(optimizer, samples)


def require_derivatives_at_rest(
    optimizer: Optimizer, state: Array | None, typical_gradient: float
) -> None:
    """Check an optimizer's own derivatives where its state rests: the probes measure most there.

    Args:
        optimizer: an optimizer that has been checked.
        state: the state at which it rests without a gradient, (n_state,); None if there is none.
        typical_gradient: the scale on which the gradient is varied; 1 is taken if it is unknown.

    Raises:
        ContractError: `linearize` or `gain` is not the derivative of `step`.
    """
    if state is None or state.dtype.kind != "f" or state.size > MAX_STATE_SIZE:
        return
    known = np.isfinite(typical_gradient) and typical_gradient > 0
    scale = np.full(4, typical_gradient if known else 1.0)
    samples = Samples(np.tile(state, (4, 1)), scale * np.array([0.0, 1e-3, 1.0, -1.0]), scale)
    with np.errstate(all="ignore"):
        if isinstance(optimizer, LinearizableOptimizer):
            require_correct_linearize(optimizer, samples)
        if isinstance(optimizer, Gains):
            require_correct_gain(optimizer, samples)


def _require_correct_derivatives(optimizer: Optimizer, samples: Samples) -> None:
    n_state = samples.state.shape[1]
    n = int(np.clip(DERIVATIVE_NUMBERS // max(1, n_state), 8, N_RUNS))
    few = samples.some(n).partly_at_zero()
    if isinstance(optimizer, LinearizableOptimizer) and n_state <= MAX_STATE_SIZE:
        with unchanged("linearize"):
            require_correct_linearize(optimizer, few)
    if isinstance(optimizer, Gains):
        with unchanged("gain"):
            require_correct_gain(optimizer, few)


def _require_initial_state(optimizer: Optimizer) -> bool:
    """Check the form of the initial state; returns whether it is floating-point."""
    for n in (1, 2, 7):
        state = plain_array("the state that initial_state returns", optimizer.initial_state(n))
        if state.ndim != 2 or len(state) != n:
            raise ContractError(
                f"initial_state({n}) must return the shape ({n}, n_state), but it has {state.shape}"
            )
        if n == 1:
            first = state.copy()
        if state.shape[1] != first.shape[1] or not np.allclose(
            state, first, rtol=RELATIVE_ROUNDING, atol=RELATIVE_ROUNDING, equal_nan=True
        ):
            raise ContractError("initial_state must be the same for every component")
    if not np.all(np.isfinite(first)):
        raise ContractError("initial_state returns what is not finite")
    return bool(first.dtype.kind == "f")


@contextmanager
def checked(optimizer: Optimizer) -> Iterator[Optimizer]:
    """An optimizer that a user brought, for the length of a measurement.

    It is checked at the beginning, and again at the end: an optimizer may remember something that
    shows only after hundreds of steps.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and perhaps more.

    Yields: the same optimizer; what it returns is converted to NumPy arrays.

    Raises:
        ContractError: it does not keep to the protocol.
    """
    with unchanged("step"):
        require_optimizer(optimizer)
        plain = as_plain(optimizer)
        recording = Recording.make(plain, sample_states(plain))
        yield plain
        recording.require_the_same()
