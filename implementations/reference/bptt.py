"""The meta-gradient: backpropagation through a run, second derivatives of the loss included.

With weight_p = 1 / (n_problems · n_steps · f_p(x_0)), the
meta-objective M = Σ_p weight_p Σ_k f_p(x_k), and the adjoints x̄, h̄
of x_k, h_k (zero after the last step), for k = n_steps − 1 … 0:

    Δ̄ = x̄                                   x_{k+1} = x_k + Δ_k
    h̄, ḡ = pullback of step at (h_k, g_k)     h_{k+1}, Δ_k = step(h_k, g_k)
    x̄ = x̄ + ∇²f(x_k) ḡ + weight ∇f(x_k)     g_k = ∇f(x_k), f_k = f(x_k)

x_0, and with it f(x_0), depends on no parameter of the optimizer. In code, x̄ is `x_bar`.
"""

import numpy as np

from loptbench.implementations.reference.optimizers import ReferenceOptimizer
from loptbench.implementations.reference.optimizers.base import Array
from loptbench.implementations.reference.rollout import unroll
from loptbench.implementations.reference.tasks import ReferenceProblems


def meta_gradient(
    optimizer: ReferenceOptimizer, problems: ReferenceProblems, x0: Array, n_steps: int
) -> tuple[Array, dict[str, Array]]:
    """The meta-objective of each problem, and the gradient of its mean by parameter name."""
    run = unroll(optimizer, problems, x0, n_steps)
    weight = 1 / (len(x0) * n_steps * run.loss[0])
    x_bar, state_bar = np.zeros_like(x0), np.zeros_like(run.state[0])
    p_bar: dict[str, Array] = {}
    for k in reversed(range(n_steps)):
        state_bar, gradient_bar, adjoints = optimizer.pullback(
            run.state[k], run.gradient[k].reshape(-1), state_bar, x_bar.reshape(-1)
        )
        second_order = problems.hessian_vector(
            run.parameters[k], k, gradient_bar.reshape(x_bar.shape)
        )
        x_bar = x_bar + second_order + weight[:, None] * run.gradient[k]
        for name, adjoint in adjoints.items():
            p_bar[name] = np.asarray(p_bar.get(name, 0.0) + adjoint)
    p_bar |= optimizer.initial_state_pullback(state_bar)
    return np.mean(run.loss, axis=0) / run.loss[0], p_bar
