"""Any `torch.optim.Optimizer` as an optimizer of one component.

An optimizer in PyTorch keeps a dictionary for each parameter tensor. Its entries that have the
shape of the tensor hold one number for each component. The others hold one number for the whole
tensor: step counters, running products. Both are state variables of a component:

    h        = entries of the state,   Δ = x' − x at x = 0

Components with equal counters are one parameter tensor, so a step of all is one step in PyTorch.
The value of the parameters is 0. Derivatives are autograd's where the optimizer has the option
`differentiable`.
"""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loptbench.errors import LoptbenchError, NotComponentWiseError
from loptbench.implementations.torch.arrays import placement, to_numpy
from loptbench.protocol import Array, Linearization

DOUBLE = placement("float64", "cpu")

N_PROBED = 3
"""Components of the tensor with which the entries of the state are found."""

SMALLEST = 1e-30
"""A gradient whose square is a float64, far below any other number of a step.

Many updates divide by √v, and at v = g = 0 the chain rule gives 0 · ∞. So derivatives are the mean
of those at g + SMALLEST and g − SMALLEST: both are g itself, unless g is 0."""

MAX_JUMP = 1e-9
"""Largest change of a result over 2 · SMALLEST, relative to its size, where it is continuous."""

SAME = 1e-12
"""Relative difference of two first steps that are equal but for rounding."""

STEPS = "steps"
"""Name of the state variable that counts steps where the optimizer itself does not."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A state variable.

    Attributes:
        name: its key in the optimizer's dictionary.
        shared: whether there is one number for a whole tensor.
        is_clock: whether it counts steps: it is handed to a step rounded.
        is_tensor: whether it is a tensor; else a plain number.
    """

    name: str
    shared: bool
    is_clock: bool = False
    is_tensor: bool = True


class TorchOptimizer:
    """The optimizer of one component; `loptbench.protocol` describes its methods.

    Args:
        kind: the class.
        settings: what it is made with, beside parameters.
    """

    def __init__(self, kind: type[torch.optim.Optimizer], settings: Mapping[str, Any]) -> None:
        self.kind, self.settings = kind, dict(settings)
        required = inspect.signature(kind.step).parameters.get("closure")
        if required is not None and required.default is inspect.Parameter.empty:
            raise NotComponentWiseError("its step needs a closure that computes the loss")
        self.optimizer = self._of_vector()
        self._group = {k: v for k, v in self.optimizer.param_groups[0].items() if k != "params"}
        self.entries: tuple[Entry, ...] = ()
        self._find_entries()

    def _make(self, tensors: list[Tensor]) -> torch.optim.Optimizer:
        return self.kind(tensors, **self.settings)

    def _of_vector(self) -> torch.optim.Optimizer:
        """The optimizer of a vector; an error says whether settings or the vector are wrong."""
        try:
            return self._make([torch.zeros(N_PROBED, dtype=torch.float64)])
        except Exception as error:
            try:
                self._make([torch.zeros(N_PROBED, N_PROBED, dtype=torch.float64)])
            except Exception:
                raise LoptbenchError(f"it cannot be made with these settings: {error}") from error
            raise NotComponentWiseError(f"it takes matrices only: {error}") from error

    def _native_step(
        self, states: Sequence[Mapping[str, Any]], gradients: Sequence[Tensor]
    ) -> tuple[list[dict[str, Any]], list[Tensor]]:
        """A step of parameter tensors of zeros: their next dictionaries, and their updates."""
        tensors = [torch.zeros_like(g, requires_grad=False) for g in gradients]
        optimizer = self.optimizer
        optimizer.param_groups[0].update(self._group, params=tensors)
        optimizer.state.clear()
        for tensor, gradient, state in zip(tensors, gradients, states, strict=True):
            tensor.grad = gradient
            if state:
                optimizer.state[tensor] = dict(state)
        with _default_dtype(torch.float64):  # that of numbers which a whole tensor shares
            optimizer.step()
        after = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
        if after != self._group:
            changed = [k for k, v in after.items() if self._group.get(k) != v]
            raise NotComponentWiseError(
                f"it remembers {', '.join(changed)} for a whole group of parameters"
            )
        return [dict(optimizer.state[tensor]) for tensor in tensors], tensors

    def _find_entries(self) -> None:
        """Find the state variables, and how a first step differs from others."""
        rng = np.random.default_rng(0)
        first, second = (torch.tensor(rng.standard_normal(N_PROBED)) for _ in range(2))
        try:
            (before,), _ = self._native_step([{}], [first])
            (after,), _ = self._native_step([_copy(before)], [second])
        except LoptbenchError:
            raise
        except Exception as error:
            raise NotComponentWiseError(
                f"a step with a gradient alone fails: {type(error).__name__}: {error}"
            ) from error
        entries = []
        for name, value in after.items():
            is_tensor = isinstance(value, Tensor)
            if is_tensor and value.shape == first.shape:
                entries.append(Entry(name, shared=False))
            elif isinstance(value, int | float) or (is_tensor and value.numel() == 1):
                is_clock = (float(before[name]), float(value)) == (1, 2)
                entries.append(Entry(name, True, is_clock, is_tensor))
            elif value is not None:
                shape = tuple(value.shape) if is_tensor else type(value).__name__
                raise NotComponentWiseError(
                    f"its state variable {name!r} belongs to a whole array: it is {shape} for "
                    f"{N_PROBED} parameters"
                )
        self.entries = tuple(entries)
        clocks = [i for i, entry in enumerate(entries) if entry.is_clock]
        self._clock = clocks[0] if clocks else None
        if self._clock is None and entries and not self._starts_at_zero(first):
            self.entries = (*entries, Entry(STEPS, True, is_clock=True, is_tensor=False))
            self._clock = len(entries)

    def _starts_at_zero(self, gradient: Tensor) -> bool:
        """Whether a first step is that from a state of zeros."""
        h = torch.zeros(N_PROBED, len(self.entries), dtype=torch.float64)
        (fresh,), (update,) = self._native_step([{}], [gradient.clone()])
        (zeros,), (other,) = self._native_step([self._as_dictionary(h)], [gradient.clone()])
        pairs = [(update, other)] + [
            (torch.as_tensor(fresh[e.name]), torch.as_tensor(zeros[e.name])) for e in self.entries
        ]
        return all(torch.allclose(a, b, rtol=SAME, atol=0) for a, b in pairs)

    def _as_dictionary(self, h: Tensor) -> dict[str, Any]:
        """The dictionary of a tensor of components that share their counters; empty if new."""
        if self._clock is not None and round(h[0, self._clock].item()) == 0:
            return {}
        state: dict[str, Any] = {}
        for i, entry in enumerate(self.entries):
            if entry.name != STEPS:
                value = h[0, i].clone() if entry.shared else h[:, i].clone()
                value = value.detach().round() if entry.is_clock else value
                state[entry.name] = value if entry.is_tensor else value.item()
        return state

    def _step(self, h: Tensor, g: Tensor, groups: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The next states, (n, n_state), and updates, (n,); each group is one tensor."""
        states, updates = self._native_step(
            [self._as_dictionary(h[rows]) for rows in groups], [g[rows].clone() for rows in groups]
        )
        parts = [self._columns(state, h[rows]) for state, rows in zip(states, groups, strict=True)]
        order = torch.argsort(torch.cat(list(groups)))
        next_h = torch.cat(parts)[order]
        update = torch.cat(updates)[order]
        return next_h, update

    def _columns(self, state: Mapping[str, Any], before: Tensor) -> Tensor:
        """The states of the components of a tensor after a step, (n, n_state)."""
        columns = []
        for i, entry in enumerate(self.entries):
            if entry.name == STEPS:
                columns.append(before[:, i] + 1)
                continue
            value = torch.as_tensor(state[entry.name], dtype=torch.float64)
            if entry.is_clock:  # the fraction that was rounded off
                value = value + (before[:, i] - before[:, i].detach().round())
            columns.append(value.reshape(-1).expand(len(before)))
        return torch.stack(columns, dim=1) if columns else before

    def _groups(self, h: Array) -> list[Tensor]:
        """The components with equal counters, as indices."""
        columns = [
            np.rint(h[:, i]) if entry.is_clock else h[:, i]
            for i, entry in enumerate(self.entries)
            if entry.shared
        ]
        shared = np.stack(columns, axis=1) if columns else h[:, :0]
        if not shared.shape[1] or (shared == shared[:1]).all():
            return [torch.arange(len(h))]
        _, which = np.unique(shared, axis=0, return_inverse=True)
        return [torch.tensor(np.flatnonzero(which == i)) for i in range(which.max() + 1)]

    def initial_state(self, n_components: int) -> Array:
        return np.zeros((n_components, len(self.entries)))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        next_h, update = self._step(DOUBLE.put(state), DOUBLE.put(gradient), self._groups(state))
        return to_numpy(next_h), to_numpy(update)

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        h, g, groups = DOUBLE.put(state), DOUBLE.put(gradients), self._groups(state)
        states = []
        for last, time in pairwise([0, *times]):
            for k in range(last, time):
                h, _ = self._step(h, g if g.ndim == 1 else g[k], groups)
            states.append(to_numpy(h))
        return np.stack(states)

    def run_on_arrays(self, gradients: Sequence[Array], parameters: Sequence[Array]) -> list[Array]:
        """See `loptbench.adapters.Adapted.run_on_arrays`."""
        x = [DOUBLE.put(array) for array in parameters]
        tensors = [array.clone() for array in x]
        updates = []
        with _default_dtype(torch.float64):  # that of numbers which a whole tensor shares
            optimizer = self._make(tensors)
            for k in range(len(gradients[0])):
                for tensor, start, gradient in zip(tensors, x, gradients, strict=True):
                    tensor.data.copy_(start)
                    tensor.grad = DOUBLE.put(gradient[k])
                optimizer.step()
                updates.append([to_numpy(t - start) for t, start in zip(tensors, x, strict=True)])
        return [np.stack(array) for array in zip(*updates, strict=True)]


class DifferentiableTorchOptimizer(TorchOptimizer):
    """The same, with derivatives by autograd."""

    def __init__(self, kind: type[torch.optim.Optimizer], settings: Mapping[str, Any]) -> None:
        super().__init__(kind, settings)
        self._differentiable = TorchOptimizer(
            kind, {**settings, "differentiable": True, "foreach": False}
        )

    def _both_sides(self, state: Array, gradient: Array, groups: list[Tensor], inputs: str) -> Any:
        """The Jacobian's rows (n_results, n, n_inputs), from both sides of g."""
        sides = []
        for shift in (-SMALLEST, SMALLEST):
            h = DOUBLE.put(state).requires_grad_("h" in inputs)
            g = DOUBLE.put(gradient + shift).requires_grad_()
            with torch.enable_grad():
                next_h, update = self._differentiable._step(h, g, groups)
                results = [*next_h.unbind(1), update] if "h" in inputs else [update]
                rows = [self._row(result, h, g, inputs) for result in results]
            values = torch.stack([result.detach() for result in results])
            sides.append((torch.stack(rows), values))
        (left, below), (right, above) = sides
        change, largest = (above - below).abs(), torch.maximum(above.abs(), below.abs())
        smooth = 2 * SMALLEST * torch.maximum(left.abs(), right.abs())[..., -1]
        jumps = (change > MAX_JUMP * largest) & (change > 2 * smooth)
        return to_numpy(torch.where(jumps[..., None], torch.nan, (left + right) / 2))

    def _row(self, result: Tensor, h: Tensor, g: Tensor, inputs: str) -> Tensor:
        """The derivatives of a result of every component, (n, n_inputs)."""
        arguments = [h, g] if "h" in inputs else [g]
        # Components are independent: the gradient of the sum is each one's own derivative. What
        # does not depend on an argument has none, so that zero times each is added.
        total = result.sum() + sum((0 * argument).sum() for argument in arguments)
        parts = torch.autograd.grad(total, arguments, retain_graph=True)
        return torch.cat([part.reshape(len(g), -1) for part in parts], dim=1)

    def gain(self, state: Array, gradient: Array) -> Array:
        J: Array = self._both_sides(state, gradient, self._groups(state), "g")
        return J[0, :, 0].copy()

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        # Every component is a tensor of its own: it has its own counters to differentiate by.
        alone = list(torch.arange(len(state)).unsqueeze(1))
        J = np.moveaxis(self._both_sides(state, gradient, alone, "hg"), 0, 1)
        blocks = J[:, :-1, :-1], J[:, :-1, -1], J[:, -1, :-1], J[:, -1, -1]
        return Linearization(*(block.copy() for block in blocks))


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """PyTorch's default dtype, until the end of the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _copy(state: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in state.items()}


def adapt(thing: Any, settings: Mapping[str, Any]) -> TorchOptimizer | None:
    """The adapter of a `torch.optim.Optimizer`; None for anything else.

    Args:
        thing: its class, or an optimizer of one group of parameters, whose settings are taken.
        settings: what to make the class with.
    """
    if isinstance(thing, torch.optim.Optimizer):
        if len(thing.param_groups) != 1:
            raise LoptbenchError(
                f"the optimizer has {len(thing.param_groups)} groups of parameters; give one of a "
                "single group"
            )
        own = inspect.signature(type(thing)).parameters
        group = {k: v for k, v in thing.param_groups[0].items() if k in own and k != "params"}
        return adapt(type(thing), {**group, **settings})
    if not (isinstance(thing, type) and issubclass(thing, torch.optim.Optimizer)):
        return None
    if "differentiable" in inspect.signature(thing).parameters:
        return DifferentiableTorchOptimizer(thing, settings)
    return TorchOptimizer(thing, settings)
