"""The methods of an optimizer: levels 1 and 3 of the protocol, and two optional fast paths."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from loptbench.protocol.values import Array, Linearization


class Optimizer(Protocol):
    """Level 1. A component-wise optimizer, made for one dtype and one device."""

    def initial_state(self, n_components: int) -> Array:
        """h_0, (n_components, n_state), a new array; called once per run."""
        ...

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """One step of every component; called once per inner step.

        Components are independent: permuting them permutes the result. A gradient of NaN gives an
        update of NaN, in its own component only.

        Args:
            state: h_k, (n_components, n_state).
            gradient: g_k, (n_components,).

        Returns: the next state h_{k+1}, (n_components, n_state), and the update Δ_k, which is
            *added* to the parameters, (n_components,); both new arrays in the optimizer's dtype.
        """
        ...


@runtime_checkable
class LinearizableOptimizer(Optimizer, Protocol):
    """Level 3. An optimizer that differentiates its own step."""

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """A, B, C, D at states, (n_components, n_state), and gradients, (n_components,)."""
        ...


@runtime_checkable
class Drives(Optimizer, Protocol):
    """Optional. Drives many components under given gradients: faster analysis."""

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        """The states at chosen times of a run whose gradients are given.

            h[0] = state;  h[k + 1] = F(h[k], g[k])   for k = 0 … times[−1] − 1

        Components are independent, also where one diverges: NaN or infinity stays in its own rows.
        Neither argument is changed, and the result is a new array.

        Args:
            state: h[0], (n_components, n_state).
            gradients: (n_components,), the gradient of every step; or (n_steps, n_components),
                whose row k is g[k], the gradient of step k.
            times: the times asked for, strictly increasing; 0 is the start itself. The last one is
                the number of steps to take, at most the number of rows of `gradients`.

        Returns: h[t] at each of the times, (len(times), n_components, n_state), in the optimizer's
            dtype.
        """
        ...


@runtime_checkable
class Gains(Optimizer, Protocol):
    """Optional. Differentiates the update by the gradient alone: faster analysis."""

    def gain(self, state: Array, gradient: Array) -> Array:
        """D = ∂U/∂g, (n_components,), a new array in the optimizer's dtype.

        It is the D of `linearize`, without A, B and C: one derivative takes about as long as two
        steps, whatever the size of the state.

        Args:
            state: (n_components, n_state).
            gradient: (n_components,).
        """
        ...
