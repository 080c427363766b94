"""The protocol in PyTorch: NumPy at the boundary, tensors inside."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loptbench.implementations.torch.declaration import Declaration
from loptbench.implementations.torch.optimizers import KINDS
from loptbench.implementations.torch.tasks import Problem, loss_and_gradient
from loptbench.implementations.torch.through_time import meta_gradient
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization, MetaGradient, OuterState, Sweep, Trajectory
from loptbench.tasks.base import ProblemBatch
from loptbench.training.settings import MetaTraining


@dataclasses.dataclass(frozen=True)
class _Placed:
    """Where and in which precision tensors live."""

    dtype: torch.dtype
    device: torch.device

    def put(self, array: NDArray[Any]) -> Tensor:
        # Real numbers in the precision of the call; whole ones stay what they are.
        dtype = self.dtype if array.dtype.kind == "f" else None
        return torch.tensor(array, dtype=dtype, device=self.device)

    def put_all(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        return {name: self.put(array) for name, array in arrays.items()}


def _placed(dtype: str, device: str) -> _Placed:
    dtypes = {"float32": torch.float32, "float64": torch.float64}
    return _Placed(dtypes[dtype], torch.device(device))


def _to_numpy(tensor: Tensor) -> NDArray[Any]:
    # A copy: the caller may write into it, and an expanded tensor shares its rows.
    return np.array(tensor.detach().cpu().numpy())


@dataclasses.dataclass(frozen=True)
class TorchOptimizer:
    """An optimizer in PyTorch."""

    kind: str
    constants: Mapping[str, float]
    parameters: Mapping[str, Tensor]
    placed: _Placed

    def native_step(self, state: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """One step in tensors."""
        return KINDS[self.kind].step(self.parameters, self.constants, state, gradient)

    def native_initial_state(self, n_components: int) -> Tensor:
        """h_0 as a tensor."""
        return KINDS[self.kind].initial_state(self.parameters, n_components)

    def initial_state(self, n_components: int) -> Array:
        """See `loptbench.protocol.Optimizer`."""
        return _to_numpy(self.native_initial_state(n_components))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        """See `loptbench.protocol.Optimizer`."""
        with torch.no_grad():
            new, update = self.native_step(self.placed.put(state), self.placed.put(gradient))
        return _to_numpy(new), _to_numpy(update)

    def linearize(self, state: Array, gradient: Array) -> Linearization:
        """See `loptbench.protocol.LinearizableOptimizer`."""

        def one_component(h: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
            new, update = self.native_step(h[None], g[None])
            return new[0], update[0]

        jacobian = torch.func.vmap(torch.func.jacrev(one_component, argnums=(0, 1)))
        (A, B), (C, D) = jacobian(self.placed.put(state), self.placed.put(gradient))
        return Linearization(*(_to_numpy(matrix) for matrix in (A, B, C, D)))


@dataclasses.dataclass(frozen=True)
class TorchProblems:
    """A batch of problems in PyTorch."""

    problem: Problem
    placed: _Placed

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """See `loptbench.protocol.Problems`."""
        loss, gradient = loss_and_gradient(self.problem, self.placed.put(parameters), step)
        return _to_numpy(loss), _to_numpy(gradient)


@torch.no_grad()
def _inner_steps(
    optimizer: TorchOptimizer, problems: TorchProblems, initial_parameters: Array, n_steps: int
) -> Iterator[tuple[Tensor, ...]]:
    """Each step's loss, parameters, gradient, state, update, and the state after it."""
    x = optimizer.placed.put(initial_parameters)
    state = optimizer.native_initial_state(x.numel())
    for k in range(n_steps):
        loss, gradient = loss_and_gradient(problems.problem, x, k)
        after, update = optimizer.native_step(state, gradient.reshape(-1))
        update = update.reshape(x.shape)
        yield loss, x, gradient, state, update, after
        state, x = after, x + update


class Implementation(Declaration):
    """PyTorch: all five levels."""

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> TorchOptimizer:
        """See `loptbench.protocol.Implementation`."""
        placed = _placed(dtype, device)
        parameters = placed.put_all(spec.parameters)
        return TorchOptimizer(spec.kind, spec.constants, parameters, placed)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> TorchProblems:
        """See `loptbench.protocol.Implementation`."""
        placed = _placed(dtype, device)
        arrays = placed.put_all({**batch.arrays, **batch.shared})
        return TorchProblems(Problem(batch.task, batch.layout, arrays), placed)

    def unroll(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        """See `loptbench.protocol.Unrolls`."""
        rows = list(_inner_steps(optimizer, problems, initial_parameters, n_steps))
        *columns, after = zip(*rows, strict=True)
        loss, xs, gradients, states, updates = (torch.stack(column) for column in columns)
        xs, states = torch.cat([xs, xs[-1:] + updates[-1:]]), torch.cat([states, after[-1][None]])
        return Trajectory(*(_to_numpy(field) for field in (loss, xs, gradients, states, updates)))

    def unroll_losses(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Array:
        """See `loptbench.protocol.UnrollsLosses`."""
        steps = _inner_steps(optimizer, problems, initial_parameters, n_steps)
        return _to_numpy(torch.stack([loss for loss, *_ in steps]))

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: TorchProblems,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        """See `loptbench.protocol.Sweeps`."""
        placed, step = problems.placed, KINDS[kind].step
        p = placed.put_all(hyperparameters)
        x, state, k = placed.put(at.parameters), placed.put(at.state), torch.tensor(at.step)
        losses = []
        with torch.no_grad():
            for i in range(n_steps):
                loss, gradient = loss_and_gradient(problems.problem, x, k + i)
                state, update = step(p, constants, state, gradient.flatten(start_dim=1))
                x = x + update.reshape(x.shape)
                losses.append(loss)
        end = Sweep(_to_numpy(x), _to_numpy(state), at.step + n_steps)
        return _to_numpy(torch.stack(losses)), end

    def meta_gradient(
        self,
        optimizer: TorchOptimizer,
        problems: TorchProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        """See `loptbench.protocol.MetaGradients`."""
        objective, gradient = meta_gradient(
            optimizer.kind,
            optimizer.constants,
            {name: value.unsqueeze(0) for name, value in optimizer.parameters.items()},
            problems.problem,
            optimizer.placed.put(initial_parameters),
            n_steps,
        )
        by_name = {name: _to_numpy(value[0]) for name, value in gradient.items()}
        return MetaGradient(_to_numpy(objective), by_name)

    def outer_init(self, parameters: Mapping[str, Array], config: MetaTraining) -> OuterState:
        """See `loptbench.protocol.MetaTrains`."""
        start = {name: np.array(array, config.dtype) for name, array in parameters.items()}
        memory: dict[str, Array] = {}
        for name, array in start.items():
            memory |= {
                f"step/{name}": np.zeros((), np.float32),  # torch.optim counts steps in float32
                f"exp_avg/{name}": np.zeros_like(array),
                f"exp_avg_sq/{name}": np.zeros_like(array),
            }
        return OuterState(start, memory)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        """See `loptbench.protocol.MetaTrains`."""
        return self.outer_steps([outer], spec, [batch], config)[0]

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        """See `loptbench.protocol.MetaTrainsSideBySide`."""
        placed = _placed(config.dtype, config.device)
        each = [placed.put_all(outer.parameters) for outer in outers]
        batch = batches[0].followed_by(batches[1:])
        objective, gradient = meta_gradient(
            spec.kind,
            spec.constants,
            {name: torch.stack([p[name] for p in each]) for name in each[0]},
            self.problems(batch, config.dtype, config.device).problem,
            placed.put(batch.initial_parameters),
            config.n_steps,
            config.bptt_segment,
        )
        means = objective.reshape(len(outers), -1).mean(dim=1).tolist()
        found = []
        for i, (outer, parameters, mean) in enumerate(zip(outers, each, means, strict=True)):
            own = {name: value[i] for name, value in gradient.items()}
            finite = all(bool(torch.isfinite(array).all()) for array in own.values())
            new = _outer_update(parameters, own, outer, config)
            found.append((new, mean if finite else np.nan))
        return found


def _outer_update(
    parameters: dict[str, Tensor],
    gradient: Mapping[str, Tensor],
    outer: OuterState,
    config: MetaTraining,
) -> OuterState:
    """Penalty, clipping and Adam; the parameters are changed in place."""
    norm = _norm(parameters.values())
    shrink = config.penalty / norm if norm > 0 else 0.0
    for name, parameter in parameters.items():
        parameter.grad = gradient[name] + shrink * parameter
    _clip(parameters.values(), config)
    adam = _adam(parameters, outer, config)
    adam.step()
    memory = {
        f"{key}/{name}": _to_numpy(value)
        for name, parameter in parameters.items()
        for key, value in adam.state[parameter].items()
    }
    return OuterState({name: _to_numpy(p) for name, p in parameters.items()}, memory)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """‖·‖₂ over all elements of all of them."""
    return torch.stack([(tensor**2).sum() for tensor in tensors]).sum().sqrt()


def _clip(parameters: Iterable[Tensor], config: MetaTraining) -> None:
    parameters = list(parameters)
    if config.clipping == "elementwise":
        torch.nn.utils.clip_grad_value_(parameters, config.clip)
        return
    # Not clip_grad_norm_, which adds 1e-6 to the norm before it divides by it.
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = _norm(gradients)
    for gradient in gradients:
        gradient *= config.clip / norm.clamp(min=config.clip)


def _adam(
    parameters: Mapping[str, Tensor], outer: OuterState, config: MetaTraining
) -> torch.optim.Adam:
    """`torch.optim.Adam`, remembering what it did before."""
    t = float(outer.memory[f"step/{next(iter(parameters))}"])
    adam = torch.optim.Adam(
        parameters.values(),
        lr=config.learning_rate * config.decay ** (t / config.decay_steps),
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
    )
    for name, parameter in parameters.items():
        adam.state[parameter] = {
            key: torch.tensor(outer.memory[f"{key}/{name}"], device=parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return adam
