"""The protocol in NumPy."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from loptbench.implementations.reference.adaptive import Adam, RMSProp
from loptbench.implementations.reference.baselines import SGD, Momentum, Nesterov
from loptbench.implementations.reference.composed import Composed
from loptbench.implementations.reference.gru import GRU
from loptbench.implementations.reference.networks import DigitsProblems, TwoMoonsProblems
from loptbench.implementations.reference.tasks import (
    QuadraticProblems,
    ReferenceProblems,
    RosenbrockProblems,
)
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, MetaGradient, OuterState, Trajectory
from loptbench.rollout.trajectory import meta_objective, unroll_by_steps
from loptbench.tasks.base import ProblemBatch
from loptbench.training.settings import MetaTraining

Float = NDArray[np.float64]
ReferenceOptimizer = GRU | SGD | Momentum | Nesterov | RMSProp | Adam | Composed

OPTIMIZERS: dict[str, type[ReferenceOptimizer]] = {
    "gru": GRU,
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "composed": Composed,
}
TASKS: dict[str, Callable[[ProblemBatch], ReferenceProblems]] = {
    "quadratic": QuadraticProblems,
    "rosenbrock": RosenbrockProblems,
    "two_moons": TwoMoonsProblems,
    "digits": DigitsProblems,
}


class Implementation:
    """The reference: what every other implementation is compared with."""

    name = "reference"
    optimizers = tuple(OPTIMIZERS)
    tasks = tuple(TASKS)
    dtypes = ("float64",)
    devices = ("cpu",)
    versions = ("numpy",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> ReferenceOptimizer:
        """See `loptbench.protocol.Implementation`."""
        return OPTIMIZERS[spec.kind](spec)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> ReferenceProblems:
        """See `loptbench.protocol.Implementation`."""
        return TASKS[batch.task](batch)

    def unroll(
        self,
        optimizer: ReferenceOptimizer,
        problems: ReferenceProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        """See `loptbench.protocol.Unrolls`: nothing is faster here than the loop over steps."""
        return unroll_by_steps(optimizer, problems, initial_parameters, n_steps)

    def meta_gradient(
        self,
        optimizer: ReferenceOptimizer,
        problems: ReferenceProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        """Backpropagation through the unrolled run, second derivatives of the loss included.

        With weight_p = 1 / (n_problems · n_steps · f_p(x_0)), M = Σ_p weight_p Σ_k f_p(x_k), and
        adjoints x̄, h̄ of x_k, h_k (x̄ and h̄ are zero after the last step), for k = n_steps − 1 … 0:

            Δ̄ = x̄                                   x_{k+1} = x_k + Δ_k
            h̄, ḡ = pullback of step at (h_k, g_k)     h_{k+1}, Δ_k = step(h_k, g_k)
            x̄ = x̄ + ∇²f(x_k) ḡ + weight ∇f(x_k)     g_k = ∇f(x_k), f_k = f(x_k)

        x_0, and with it f(x_0), depends on no parameter of the optimizer.
        """
        run = unroll_by_steps(optimizer, problems, initial_parameters, n_steps)
        n_problems = initial_parameters.shape[0]
        weight = 1 / (n_problems * n_steps * run.loss[0])
        to_x = np.zeros_like(initial_parameters)
        to_state = np.zeros_like(run.state[0])
        total: dict[str, Float] = {}
        for k in reversed(range(n_steps)):
            to_state, to_gradient, adjoints = optimizer.pullback(
                run.state[k], run.gradient[k].reshape(-1), to_state, to_x.reshape(-1)
            )
            second_order = problems.hessian_vector(
                run.parameters[k], k, to_gradient.reshape(to_x.shape)
            )
            to_x = to_x + second_order + weight[:, None] * run.gradient[k]
            for name, adjoint in adjoints.items():
                total[name] = np.asarray(total.get(name, 0.0) + adjoint)
        total |= optimizer.initial_state_pullback(to_state)
        return MetaGradient(meta_objective(run.loss), total)

    def outer_init(self, parameters: Mapping[str, Array], config: MetaTraining) -> OuterState:
        """See `loptbench.protocol.MetaTrains`."""
        start = {name: np.array(array, np.float64) for name, array in parameters.items()}
        memory = {"t": np.asarray(0)}
        for name, array in start.items():
            memory |= {f"m/{name}": np.zeros_like(array), f"v/{name}": np.zeros_like(array)}
        return OuterState(start, memory)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        """See `loptbench.protocol.MetaTrains`; Adam is that of Kingma and Ba 2015, algorithm 1."""
        optimizer = self.optimizer(spec.with_parameters(outer.parameters), "float64", "cpu")
        objective, gradient = self.meta_gradient(
            optimizer,
            self.problems(batch, "float64", "cpu"),
            batch.initial_parameters,
            config.n_steps,
        )
        finite = all(np.all(np.isfinite(array)) for array in gradient.values())
        norm = np.sqrt(sum(np.sum(array**2) for array in outer.parameters.values()))
        shrink = config.penalty / norm if norm > 0 else 0.0
        t = int(outer.memory["t"])
        rate = config.learning_rate * config.decay ** (t / config.decay_steps)
        parameters: dict[str, Array] = {}
        memory: dict[str, NDArray[np.generic]] = {"t": np.asarray(t + 1)}
        penalized = {
            name: gradient[name] + shrink * theta for name, theta in outer.parameters.items()
        }
        length = np.sqrt(sum(np.sum(array**2) for array in penalized.values()))
        for name, theta in outer.parameters.items():
            if config.clipping == "global-norm":
                G = penalized[name] * (config.clip / max(length, config.clip))
            else:
                G = np.clip(penalized[name], -config.clip, config.clip)
            m = config.beta1 * outer.memory[f"m/{name}"] + (1 - config.beta1) * G
            v = config.beta2 * outer.memory[f"v/{name}"] + (1 - config.beta2) * G**2
            corrected_m = m / (1 - config.beta1 ** (t + 1))
            corrected_v = v / (1 - config.beta2 ** (t + 1))
            move = rate * corrected_m / (np.sqrt(corrected_v) + config.epsilon)
            parameters[name] = np.asarray(theta - move)
            memory |= {f"m/{name}": np.asarray(m), f"v/{name}": np.asarray(v)}
        return OuterState(parameters, memory), float(np.mean(objective)) if finite else np.nan
