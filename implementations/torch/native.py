"""An optimizer of the protocol as a `torch.optim.Optimizer`.

    x ← x + lr · Δ,   h, Δ = step(h, g)     for every element of every parameter

`h` has the shape of the parameter and one more axis, the state variables.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from loptbench.errors import LoptbenchError
from loptbench.implementations.torch.arrays import Placement
from loptbench.implementations.torch.optimizers import Parameters, get_kind
from loptbench.optimizers import OptimizerSpec

STATE = "h"
"""The key of a parameter's state."""


class NativeOptimizer(torch.optim.Optimizer):
    """Trains parameters of any shape with an optimizer of the protocol.

    Args:
        spec: the optimizer.
        params: tensors, or dictionaries of groups of tensors. They are real floating-point
            numbers; half precision is computed in float32.
        lr: by what updates are multiplied: 1 is the optimizer as it was trained. A group may have
            its own, and PyTorch's schedules change it.
    """

    def __init__(self, spec: OptimizerSpec, params: Iterable[Any], lr: float = 1.0) -> None:
        self.spec = spec
        self._placed: dict[Placement, Parameters] = {}
        super().__init__(params, {"lr": lr, "kind": spec.kind})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with an `lr` of its own or that of the others.

        Raises:
            LoptbenchError: a parameter is not of real floating-point numbers, or `lr` is no number.
        """
        super().add_param_group(param_group)
        added = self.param_groups[-1]
        wrong = [p.dtype for p in added["params"] if not p.is_floating_point()]
        lr = added["lr"]
        is_number = isinstance(lr, int | float | Tensor) and math.isfinite(float(lr))
        if wrong or not is_number:
            self.param_groups.pop()
            if wrong:
                raise LoptbenchError(
                    f"parameters must be of real floating-point numbers, but one is {wrong[0]}"
                )
            raise LoptbenchError(f"lr must be a finite number, but it is {lr!r}")

    def _parameters(self, placed: Placement) -> Parameters:
        if placed not in self._placed:
            self._placed[placed] = placed.put_all(self.spec.parameters)
        return self._placed[placed]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradients again, and returns the loss.

        Returns: what `closure` returned; None without one.

        Raises:
            LoptbenchError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"])
        return loss

    def _update(self, parameter: Tensor, lr: float) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if gradient.layout is not torch.strided:
            raise LoptbenchError(
                "a gradient is sparse, and learned optimizers change every element at every step; "
                "make it dense, as nn.Embedding(sparse=False) does"
            )
        placed = placement_of(parameter)
        kind, p = get_kind(self.spec.kind), self._parameters(placed)
        state = self.state[parameter]
        if STATE not in state:
            h = kind.initial_state(p, parameter.numel())
            state[STATE] = h.reshape(*parameter.shape, h.shape[-1]).contiguous()
        h = state[STATE]
        next_h, update = kind.step(
            p,
            self.spec.constants,
            h.reshape(parameter.numel(), h.shape[-1]),
            gradient.reshape(-1).to(placed.dtype),
        )
        state[STATE] = next_h.reshape(h.shape)
        parameter.add_((lr * update).reshape(parameter.shape).to(parameter.dtype))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned, to the last bit.

        Raises:
            LoptbenchError: it is the state of another optimizer, or of other parameters.
        """
        saved = [i for group in state_dict["param_groups"] for i in group["params"]]
        own = [p for group in self.param_groups for p in group["params"]]
        kinds = {group.get("kind") for group in state_dict["param_groups"]}
        states = {
            p: state_dict["state"][i][STATE]
            for i, p in zip(saved, own, strict=False)
            if STATE in state_dict["state"].get(i, {})
        }
        expected = {p: (*p.shape, self.spec.n_state) for p in states}
        if kinds != {self.spec.kind} or any(
            tuple(h.shape) != expected[p] for p, h in states.items()
        ):
            raise LoptbenchError(
                f"the state is not that of this {self.spec.kind} with {self.spec.n_state} state "
                "variables and of these parameters; load it into the optimizer that it is from"
            )
        super().load_state_dict(state_dict)
        for parameter, h in states.items():  # PyTorch casts it to the dtype of the parameter
            placed = placement_of(parameter)
            self.state[parameter][STATE] = h.to(placed.device, placed.dtype, copy=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "spec": self.spec, "_placed": {}}


def placement_of(parameter: Tensor) -> Placement:
    """The precision and the device in which a parameter's updates are computed."""
    is_double = parameter.dtype == torch.float64
    return Placement(torch.float64 if is_double else torch.float32, parameter.device)
