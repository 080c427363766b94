"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

The equations stand at `loptbench.implementations.reference.implementation`. What the way back needs
of each step is kept on the way there. Of a long run only the last steps are kept, and the others,
in segments, computed a second time.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from loptbench.implementations.torch import gru
from loptbench.implementations.torch.optimizers import KINDS
from loptbench.implementations.torch.tasks import Along, Problem, Product, along


class Tape(Protocol):
    """Some consecutive steps, taken forwards, then backwards; `gru.Tape` describes the methods."""

    n_steps: int
    to_state: Tensor

    def forward(self, k: int, gradient: Tensor) -> Tensor: ...  # noqa: D102
    def state(self, k: int) -> Tensor: ...  # noqa: D102
    def start_back(self, to_state: Tensor) -> None: ...  # noqa: D102
    def back(self, k: int, to_update: Tensor) -> Tensor: ...  # noqa: D102
    def adjoints(self) -> dict[str, Tensor]: ...  # noqa: D102


class AutodiffTape:
    """Steps of any kind, each differentiated by autograd."""

    def __init__(
        self,
        kind: str,
        p: Mapping[str, Tensor],
        constants: Mapping[str, float],
        state: Tensor,
        n_steps: int,
    ) -> None:
        self.kind, self.constants, self.n_steps = KINDS[kind], constants, n_steps
        self.p = {name: value.detach().requires_grad_() for name, value in p.items()}
        self.states = [state]
        self.steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def forward(self, k: int, gradient: Tensor) -> Tensor:
        """See `gru.Tape`."""
        with torch.enable_grad():
            state, gradient = (
                part.detach().requires_grad_() for part in (self.states[k], gradient)
            )
            new, update = self.kind.step(self.p, self.constants, state, gradient)
        self.steps.append((state, gradient, new, update))
        self.states.append(new.detach())
        return update.detach()

    def state(self, k: int) -> Tensor:
        """See `gru.Tape`."""
        return self.states[k]

    def start_back(self, to_state: Tensor) -> None:
        """See `gru.Tape`."""
        self.to_state = to_state
        self.found = {name: torch.zeros_like(value) for name, value in self.p.items()}

    def back(self, k: int, to_update: Tensor) -> Tensor:
        """See `gru.Tape`."""
        state, gradient, new, update = self.steps[k]
        self.to_state, to_gradient, *adjoints = torch.autograd.grad(
            (new, update),
            (state, gradient, *self.p.values()),
            (self.to_state, to_update),
            allow_unused=True,
            materialize_grads=True,
        )
        for name, adjoint in zip(self.p, adjoints, strict=True):
            self.found[name] += adjoint
        return to_gradient

    def adjoints(self) -> dict[str, Tensor]:
        """See `gru.Tape`."""
        return self.found


class _Segment:
    """Consecutive steps of a run: an optimizer's tape, and what the tasks leave."""

    def __init__(self, tape: Tape, run: Along, first: int) -> None:
        self.tape, self.run, self.first = tape, run, first
        self.n_sets = len(tape.state(0))
        self.gradients: list[Tensor] = []
        self.products: list[Product] = []

    def _by_set(self, of_problems: Tensor) -> Tensor:
        """(n_sets · n_problems, n_parameters) as (n_sets, n_components)."""
        return of_problems.reshape(self.n_sets, -1)

    def there(self, x: Tensor) -> Tensor:
        """All its steps; returns the parameters after them."""
        for k in range(self.tape.n_steps):
            gradient, product = self.run.at(x, self.first + k)
            self.gradients.append(gradient)
            self.products.append(product)
            x = x + self.tape.forward(k, self._by_set(gradient)).reshape(x.shape)
        return x

    def back(self, to_state: Tensor, to_x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Back through all its steps: the adjoints of state and parameters before them."""
        self.tape.start_back(to_state)
        for k in reversed(range(self.tape.n_steps)):
            to_gradient = self.tape.back(k, self._by_set(to_x)).reshape(to_x.shape)
            # A product is asked for once, and holds the graph of a loss until it is let go.
            second_order = self.products.pop()(to_gradient)
            to_x = torch.addcmul(to_x + second_order, weight, self.gradients[k])
        return self.tape.to_state, to_x


def meta_gradient(
    kind: str,
    constants: Mapping[str, float],
    p: Mapping[str, Tensor],
    problem: Problem,
    x0: Tensor,
    n_steps: int,
    keep: int | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The meta-objective of each problem, and the gradient of its mean, of optimizers side by side.

    Args:
        kind: the optimizers' kind.
        constants: their constants.
        p: their parameters, with an axis before all others, which is the optimizer's.
        problem: the problems: the first optimizer's, then as many of the second's, and so on.
        x0: their initial parameters, (n_optimizers · n_problems, n_parameters).
        n_steps: how many inner steps.
        keep: of how many steps to keep what the way back needs; None for all.
    """
    p = {name: value.detach().requires_grad_() for name, value in p.items()}
    n_sets = len(next(iter(p.values())))
    with torch.enable_grad():
        initial_state = KINDS[kind].initial_state(p, x0.numel() // n_sets)
    detached = {name: value.detach() for name, value in p.items()}

    def segment(state: Tensor, first: int, n: int) -> _Segment:
        tape: Tape = (
            gru.Tape(detached, constants, state, n)
            if kind == "gru"
            else AutodiffTape(kind, detached, constants, state, n)
        )
        return _Segment(tape, along(problem), first)

    with torch.no_grad():
        length = min(keep or n_steps, n_steps)
        state, x, losses = initial_state.detach(), x0, []
        starts: list[tuple[Tensor, Tensor, int]] = []
        last = (n_steps - 1) // length * length
        for first in range(0, last, length):
            starts.append((state, x, first))
            passing = segment(state, first, length)
            x = passing.there(x)
            losses.append(passing.run.losses())
            state = passing.tape.state(length).clone()
        kept = segment(state, last, n_steps - last)
        kept.there(x)
        loss = torch.cat([*losses, kept.run.losses()])
        weight = (n_sets / (len(x0) * n_steps * loss[0])).unsqueeze(-1)

        to_state, to_x = kept.back(torch.zeros_like(state), torch.zeros_like(x0), weight)
        found = kept.tape.adjoints()
        for state, x, first in reversed(starts):
            again = segment(state, first, length)
            again.there(x)
            to_state, to_x = again.back(to_state, to_x, weight)
            found = {name: found[name] + part for name, part in again.tape.adjoints().items()}

    gradient = _through_start(initial_state, p, to_state)
    for name, part in found.items():
        gradient[name] = gradient[name] + part
    return loss.mean(dim=0) / loss[0], gradient


def _through_start(
    initial_state: Tensor, p: Mapping[str, Tensor], to_state: Tensor
) -> dict[str, Tensor]:
    """The adjoints of the parameters that the initial state depends on; zero for the others."""
    if not initial_state.requires_grad:
        return {name: torch.zeros_like(value) for name, value in p.items()}
    found = torch.autograd.grad(
        initial_state, list(p.values()), to_state, allow_unused=True, materialize_grads=True
    )
    return dict(zip(p, found, strict=True))
