"""What the methods of the protocol take and return: arrays, and named tuples of arrays."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import require_array

Array = NDArray[Any]
"""An array of float32 or float64: the dtype that the optimizer or the problems were made for."""


class Linearization(NamedTuple):
    """The state-space matrices of every component, at its own state and gradient.

    For small δh and δg:  F(h + δh, g + δg) ≈ F(h, g) + A δh + B δg,
                          U(h + δh, g + δg) ≈ U(h, g) + C δh + D δg.

    Attributes:
        A: ∂F/∂h, (n_components, n_state, n_state); A[i, j, l] = ∂F_j/∂h_l of component i.
        B: ∂F/∂g, (n_components, n_state).
        C: ∂U/∂h, (n_components, n_state).
        D: ∂U/∂g, (n_components,).
    """

    A: Array
    B: Array
    C: Array
    D: Array


class Trajectory(NamedTuple):
    """An inner run of a batch, at every step.

    Component p · n_parameters + i is parameter i of problem p.

    Attributes:
        loss: f(x_k), *before* the update of step k, (n_steps, n_problems).
        parameters: x_0 … x_{n_steps}, (n_steps + 1, n_problems, n_parameters).
        gradient: ∇f(x_k), (n_steps, n_problems, n_parameters).
        state: h_0 … h_{n_steps}, (n_steps + 1, n_components, n_state).
        update: Δ_k = x_{k+1} − x_k, (n_steps, n_problems, n_parameters).
    """

    loss: Array
    parameters: Array
    gradient: Array
    state: Array
    update: Array


class MetaGradient(NamedTuple):
    """The meta-objective of a batch, and its gradient.

    Attributes:
        objective: (1/n_steps) Σ_k f(x_k) / f(x_0) of every problem, (n_problems,).
        gradient: the derivative of the *mean of `objective` over problems* with respect to every
            parameter of the optimizer, through the whole run, the second derivatives of the loss
            included; names and shapes are those of the spec's parameters.
    """

    objective: Array
    gradient: Mapping[str, Array]


class Sweep(NamedTuple):
    """The state of many runs on the same problems, each with its own hyperparameters (a draw).

    Attributes:
        parameters: x, (n_draws, n_problems, n_parameters).
        state: h, (n_draws, n_problems · n_parameters, n_state).
        step: the number of steps that each draw has taken, (n_draws,), integers.
    """

    parameters: Array
    state: Array
    step: NDArray[np.int64]


class OuterState(NamedTuple):
    """Everything that meta-training carries from one outer step to the next.

    Attributes:
        parameters: the optimizer's parameters, by name.
        memory: the state of the outer optimizer, by names of the implementation's choice. It is
            written to disk and read back: resuming must equal not stopping, to the bit.
    """

    parameters: Mapping[str, Array]
    memory: Mapping[str, NDArray[Any]]

    def canonical(self) -> "OuterState":
        """The same state with sorted names and every array in C order.

        The harness passes every outer state in this form. A file changes order and memory layout,
        and with them the last bit of a sum; a resumed run must not differ by that.
        """
        for name, array in (*self.parameters.items(), *self.memory.items()):
            require_array(array, f"{name!r} of an outer state")
        return OuterState(
            {name: np.array(array, order="C") for name, array in sorted(self.parameters.items())},
            {name: np.array(array, order="C") for name, array in sorted(self.memory.items())},
        )
