"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

`loptbench.implementations.reference.bptt` has the equations; `x_bar` is the adjoint of x.

The forward pass keeps the values that the backward pass needs of each step. With segments, it keeps
only the last segment; the backward pass recomputes each earlier one from its first state.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from loptbench.implementations.torch.derivatives import (
    HessianVector,
    TwiceDifferentiated,
    twice_differentiated,
)
from loptbench.implementations.torch.optimizers import Constants, Parameters, get_kind, gru
from loptbench.implementations.torch.tasks import Problem


class Tape(Protocol):
    """Consecutive steps of an optimizer, run forward and then backward; see `gru.Tape`."""

    n_steps: int
    state_bar: Tensor

    def forward(self, k: int, gradient: Tensor) -> Tensor: ...
    def state(self, k: int) -> Tensor: ...
    def start_backward(self, state_bar: Tensor) -> None: ...
    def backward(self, k: int, update_bar: Tensor) -> Tensor: ...
    def adjoints(self) -> dict[str, Tensor]: ...


class AutogradTape:
    """A tape for any kind: autograd differentiates each step."""

    def __init__(
        self, kind: str, p: Parameters, constants: Constants, state: Tensor, n_steps: int
    ) -> None:
        self.kind, self.constants, self.n_steps = get_kind(kind), constants, n_steps
        self.p = {name: value.detach().requires_grad_() for name, value in p.items()}
        self.states = [state]
        self.steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def forward(self, k: int, gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            state, gradient = (
                array.detach().requires_grad_() for array in (self.states[k], gradient)
            )
            next_state, update = self.kind.step(self.p, self.constants, state, gradient)
        self.steps.append((state, gradient, next_state, update))
        self.states.append(next_state.detach())
        return update.detach()

    def state(self, k: int) -> Tensor:
        return self.states[k]

    def start_backward(self, state_bar: Tensor) -> None:
        self.state_bar = state_bar
        self.p_bar = {name: torch.zeros_like(value) for name, value in self.p.items()}

    def backward(self, k: int, update_bar: Tensor) -> Tensor:
        state, gradient, next_state, update = self.steps[k]
        self.state_bar, gradient_bar, *adjoints = torch.autograd.grad(
            (next_state, update),
            (state, gradient, *self.p.values()),
            (self.state_bar, update_bar),
            allow_unused=True,
            materialize_grads=True,
        )
        for name, adjoint in zip(self.p, adjoints, strict=True):
            self.p_bar[name] += adjoint
        return gradient_bar

    def adjoints(self) -> dict[str, Tensor]:
        return self.p_bar


TAPES: dict[str, Callable[[Parameters, Constants, Tensor, int], Tape]] = {"gru": gru.Tape}
"""The tapes by hand; autograd differentiates the steps of all other kinds."""


class _Segment:
    """Consecutive steps of a run: the optimizer's tape, and the gradients and Hessians."""

    def __init__(self, tape: Tape, losses: TwiceDifferentiated, first: int) -> None:
        self.tape, self.losses, self.first = tape, losses, first
        self.n_sets = len(tape.state(0))
        self.gradients: list[Tensor] = []
        self.hessians: list[HessianVector] = []

    def _by_set(self, array: Tensor) -> Tensor:
        """(n_sets · n_problems, n_parameters) as (n_sets, n_components)."""
        return array.reshape(self.n_sets, -1)

    def forward(self, x: Tensor) -> Tensor:
        """Run all steps; returns the parameters after them."""
        for k in range(self.tape.n_steps):
            gradient, hessian_vector = self.losses.derivatives(x, self.first + k)
            self.gradients.append(gradient)
            self.hessians.append(hessian_vector)
            x = x + self.tape.forward(k, self._by_set(gradient)).reshape(x.shape)
        return x

    def backward(self, state_bar: Tensor, x_bar: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Backpropagate through all steps; returns the adjoints of the first state and x."""
        self.tape.start_backward(state_bar)
        for k in reversed(range(self.tape.n_steps)):
            gradient_bar = self.tape.backward(k, self._by_set(x_bar)).reshape(x_bar.shape)
            # pop, because autograd's Hessian holds the graph of a loss in memory.
            second_order = self.hessians.pop()(gradient_bar)
            x_bar = torch.addcmul(x_bar + second_order, weight, self.gradients[k])
        return self.tape.state_bar, x_bar


def meta_gradient(
    kind: str,
    constants: Constants,
    p: Parameters,
    problem: Problem,
    x0: Tensor,
    n_steps: int,
    segment_length: int | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The meta-objective of each problem, and the gradient of its mean, of optimizers side by side.

    Args:
        kind: the kind of the optimizers.
        constants: their constants.
        p: their parameters, with a leading axis for the optimizer.
        problem: the problems: first those of the first optimizer, then as many of the second, …
        x0: their initial parameters, (n_optimizers · n_problems, n_parameters).
        n_steps: the number of inner steps.
        segment_length: the number of steps in a segment; None keeps all steps.
    """
    p = {name: value.detach().requires_grad_() for name, value in p.items()}
    n_sets = len(next(iter(p.values())))
    with torch.enable_grad():
        initial_state = get_kind(kind).initial_state(p, x0.numel() // n_sets)
    detached = {name: value.detach() for name, value in p.items()}

    def segment(state: Tensor, first: int, n: int) -> _Segment:
        make = TAPES.get(kind) or partial(AutogradTape, kind)
        tape = make(detached, constants, state, n)
        return _Segment(tape, twice_differentiated(problem), first)

    with torch.no_grad():
        length = min(segment_length or n_steps, n_steps)
        state, x, losses = initial_state.detach(), x0, []
        starts: list[tuple[Tensor, Tensor, int]] = []
        last = (n_steps - 1) // length * length
        for first in range(0, last, length):
            starts.append((state, x, first))
            discarded = segment(state, first, length)
            x = discarded.forward(x)
            losses.append(discarded.losses.losses())
            state = discarded.tape.state(length).clone()
        kept = segment(state, last, n_steps - last)
        kept.forward(x)
        loss = torch.cat([*losses, kept.losses.losses()])
        weight = (n_sets / (len(x0) * n_steps * loss[0])).unsqueeze(-1)

        state_bar, x_bar = kept.backward(torch.zeros_like(state), torch.zeros_like(x0), weight)
        p_bar = kept.tape.adjoints()
        for state, x, first in reversed(starts):
            recomputed = segment(state, first, length)
            recomputed.forward(x)
            state_bar, x_bar = recomputed.backward(state_bar, x_bar, weight)
            adjoints = recomputed.tape.adjoints()
            p_bar = {name: p_bar[name] + adjoint for name, adjoint in adjoints.items()}

    gradient = _through_initial_state(initial_state, p, state_bar)
    for name, adjoint in p_bar.items():
        gradient[name] = gradient[name] + adjoint
    return loss.mean(dim=0) / loss[0], gradient


def _through_initial_state(
    initial_state: Tensor, p: Mapping[str, Tensor], state_bar: Tensor
) -> dict[str, Tensor]:
    """The adjoints of the parameters through the initial state; zero where it does not use them."""
    if not initial_state.requires_grad:
        return {name: torch.zeros_like(value) for name, value in p.items()}
    adjoints = torch.autograd.grad(
        initial_state, list(p.values()), state_bar, allow_unused=True, materialize_grads=True
    )
    return dict(zip(p, adjoints, strict=True))
