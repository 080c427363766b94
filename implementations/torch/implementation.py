"""The protocol in PyTorch: NumPy at the boundary, tensors inside.

`loptbench.protocol` describes every method.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from loptbench.implementations.torch import rollout
from loptbench.implementations.torch.arrays import Placement, placement, to_numpy
from loptbench.implementations.torch.bptt import meta_gradient
from loptbench.implementations.torch.declaration import Declaration
from loptbench.implementations.torch.derivatives import loss_and_gradient
from loptbench.implementations.torch.optimizers import Constants, Parameters, get_kind
from loptbench.implementations.torch.outer_step import initial_outer_state, outer_update
from loptbench.implementations.torch.tasks import Problem, loss_of
from loptbench.implementations.torch.threads import threads_for
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import (
    Array,
    Linearization,
    MetaGradient,
    OuterSettings,
    OuterState,
    Sweep,
    Trajectory,
)
from loptbench.tasks import ProblemBatch


@dataclasses.dataclass(frozen=True)
class TorchOptimizer:
    """An optimizer in PyTorch."""

    kind: str
    constants: Constants
    parameters: Parameters
    placement: Placement

    def native_step(self, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """One step in tensors."""
        return get_kind(self.kind).step(self.parameters, self.constants, state, gradient)

    def native_initial_state(self, n_components: int) -> Tensor:
        """h_0 as a tensor."""
        return get_kind(self.kind).initial_state(self.parameters, n_components)

    def initial_state(self, n_components: int) -> Array:
        return to_numpy(self.native_initial_state(n_components))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        put = self.placement.put
        with torch.no_grad():
            next_state, update = self.native_step(put(state), put(gradient))
        return to_numpy(next_state), to_numpy(update)

    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        h, g = self.placement.put(state), self.placement.put(gradients)
        rows = g if g.ndim == 2 else g.expand(times[-1], -1)
        with torch.no_grad():
            states = get_kind(self.kind).drive(self.parameters, self.constants, h, rows, times)
        return states.cpu().numpy()

    def gain(self, state: Array, gradient: Array) -> Array:
        g = self.placement.put(gradient).requires_grad_()
        with torch.enable_grad():
            _, update = self.native_step(self.placement.put(state), g)
            # Components are independent: the gradient of the sum is each one's own derivative.
            (D,) = torch.autograd.grad(update.sum(), g)
        return to_numpy(D)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        def step_of_component(h: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
            next_state, update = self.native_step(h[None], g[None])
            return next_state[0], update[0]

        jacobian = torch.func.vmap(torch.func.jacrev(step_of_component, argnums=(0, 1)))
        (A, B), (C, D) = jacobian(self.placement.put(state), self.placement.put(gradient))
        return Linearization(*(to_numpy(matrix) for matrix in (A, B, C, D)))


@dataclasses.dataclass(frozen=True)
class TorchProblems:
    """A batch of problems in PyTorch."""

    problem: Problem
    placement: Placement

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = loss_and_gradient(self.problem, self.placement.put(parameters), step)
        return to_numpy(loss), to_numpy(gradient)


class Implementation(Declaration):
    """PyTorch, eager: all five levels."""

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> TorchOptimizer:
        placed = placement(dtype, device)
        return TorchOptimizer(spec.kind, spec.constants, placed.put_all(spec.parameters), placed)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> TorchProblems:
        placed = placement(dtype, device)
        arrays = placed.put_all({**batch.arrays, **batch.shared})
        return TorchProblems(Problem(loss_of(batch), batch.layout, arrays), placed)

    def unroll(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        fields = rollout.unroll(*_run(optimizer, problems, initial_parameters), n_steps)
        return Trajectory(*(to_numpy(field) for field in fields))

    def unroll_losses(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Array:
        return to_numpy(
            rollout.unroll_losses(*_run(optimizer, problems, initial_parameters), n_steps)
        )

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Constants,
        problems: TorchProblems,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        put, p = problems.placement.put, problems.placement.put_all(hyperparameters)
        loss, x, state = rollout.sweep(
            partial(get_kind(kind).step, p, constants),
            problems.problem,
            put(at.state),
            put(at.parameters),
            torch.tensor(at.step),
            n_steps,
        )
        return to_numpy(loss), Sweep(to_numpy(x), to_numpy(state), at.step + n_steps)

    def meta_gradient(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        objective, gradient = meta_gradient(
            optimizer.kind,
            optimizer.constants,
            {name: value.unsqueeze(0) for name, value in optimizer.parameters.items()},
            problems.problem,
            optimizer.placement.put(initial_parameters),
            n_steps,
        )
        by_name = {name: to_numpy(value[0]) for name, value in gradient.items()}
        return MetaGradient(to_numpy(objective), by_name)

    def outer_init(self, parameters: Mapping[str, Array], config: OuterSettings) -> OuterState:
        return initial_outer_state(parameters, config.dtype)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: OuterSettings
    ) -> tuple[OuterState, float]:
        return self.outer_steps([outer], spec, [batch], config)[0]

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: OuterSettings,
    ) -> list[tuple[OuterState, float]]:
        placed = placement(config.dtype, config.device)
        parameters = [placed.put_all(outer.parameters) for outer in outers]
        batch = batches[0].followed_by(batches[1:])
        with threads_for(batch.initial_parameters.size * spec.n_state):
            objective, gradient = meta_gradient(
                spec.kind,
                spec.constants,
                {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]},
                self.problems(batch, config.dtype, config.device).problem,
                placed.put(batch.initial_parameters),
                config.n_steps,
                config.bptt_segment,
            )
        means = objective.reshape(len(outers), -1).mean(dim=1).tolist()
        results = []
        for i, (outer, p, mean) in enumerate(zip(outers, parameters, means, strict=True)):
            own_gradient = {name: value[i] for name, value in gradient.items()}
            finite = all(bool(torch.isfinite(array).all()) for array in own_gradient.values())
            state = outer_update(p, own_gradient, outer, config)
            results.append((state, mean if finite else np.nan))
        return results


def _run(
    optimizer: TorchOptimizer, problems: TorchProblems, initial_parameters: Array
) -> tuple[rollout.OptimizerStep, Problem, Tensor, Tensor]:
    """The arguments of a rollout: the step, the problem, the first state and parameters."""
    x = optimizer.placement.put(initial_parameters)
    state = optimizer.native_initial_state(x.numel())
    return optimizer.native_step, problems.problem, state, x
