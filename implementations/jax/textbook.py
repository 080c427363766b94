"""Baselines of our outer step: the textbook's meta-gradient, and the matrix products alone.

`loptbench perf` times both, and tests compare our meta-gradient with the textbook's.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from loptbench.implementations.jax.arrays import full_precision
from loptbench.implementations.jax.implementation import Implementation
from loptbench.implementations.jax.optimizers import Parameters, get_kind
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient of a GRU as a textbook would write it, and its matrix products."""

    def __init__(
        self, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int, dtype: str, device: str
    ) -> None:
        implementation = Implementation()
        optimizer = implementation.optimizer(spec, dtype, device)
        problems = implementation.problems(batch, dtype, device)
        self.p = optimizer.parameters
        self.program = Program("gru", problems.loss, problems.shapes, n_steps)
        self.inputs = Inputs(optimizer.constants, problems.arrays)
        with full_precision():
            self.x0 = optimizer.placement.put(batch.initial_parameters)
            self.W_zr = jnp.concatenate([self.p["W_z"], self.p["W_r"]])
            self.h = jnp.full((self.x0.size, self.p["h0"].size), 0.1, self.x0.dtype)

    def meta_gradient(self) -> dict[str, Any]:
        """The meta-gradient by name."""
        with full_precision():
            _, gradient = _meta_gradient(self.program, self.inputs, self.p, self.x0)
            return {name: np.array(leaf) for name, leaf in gradient.items()}

    def products(self) -> Any:
        """The matrix products of an outer step and nothing else: a lower bound of its time."""
        with full_precision():
            return np.array(_products(self.program.n_steps, self.W_zr, self.p["W_c"], self.h)[0])


@partial(jax.jit, static_argnames="program")
def _meta_gradient(
    program: Program, inputs: Inputs, p: Parameters, x0: Array
) -> tuple[Array, Parameters]:
    """The meta-gradient as the paper's authors computed it.

    A scan over the vmapped step of one component, which the backward pass recomputes; JAX
    differentiates both the loss and the run.
    """
    kind = get_kind(program.kind)

    def loss_of(x: Array, k: Array) -> Array:
        return program.loss(program.shapes, inputs.arrays, x, k)

    def step_of_component(p: Parameters, h: Array, g: Array) -> tuple[Array, Array]:
        next_state, update = kind.step(p, inputs.constants, h[None], g[None])
        return next_state[0], update[0]

    def objective_of(p: Parameters) -> tuple[Array, Array]:
        @jax.checkpoint
        def inner_step(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Array]:
            state, x = carry
            gradient = jax.grad(lambda x: loss_of(x, k).sum())(x)
            state, update = jax.vmap(step_of_component, (None, 0, 0))(
                p, state, gradient.reshape(-1)
            )
            return (state, x + update.reshape(x.shape)), loss_of(x, k)

        start = kind.initial_state(p, x0.size), x0
        _, loss = jax.lax.scan(inner_step, start, jnp.arange(program.n_steps))
        objective = jnp.mean(loss, axis=0) / loss[0]
        return jnp.mean(objective), objective

    gradient, objective = jax.grad(objective_of, has_aux=True)(p)
    return objective, gradient


@partial(jax.jit, static_argnames="n_steps")
def _products(n_steps: int, W_zr: Array, W_c: Array, h: Array) -> tuple[Array, Array, Array]:
    """The matrix products of a GRU's outer step.

    Each inner step has two in the forward pass, and in the backward pass two for the adjoint of the
    state and two for those of the weights.

    Args:
        n_steps: inner steps.
        W_zr: (2 · n_units, n_units).
        W_c: (n_units, n_units).
        h: (n_components, n_units).
    """
    n_units = W_c.shape[0]

    def forward(h: Array, _: None) -> tuple[Array, None]:
        gates = h @ W_zr.T
        return gates[:, :n_units] @ W_c.T, None

    def backward(
        carry: tuple[Array, Array, Array], _: None
    ) -> tuple[tuple[Array, Array, Array], None]:
        h_bar, W_zr_bar, W_c_bar = carry
        pre_c_bar = h_bar @ W_c
        pre_zr_bar = jnp.concatenate([pre_c_bar, pre_c_bar], axis=1)
        return (pre_zr_bar @ W_zr, W_zr_bar + pre_zr_bar.T @ h, W_c_bar + pre_c_bar.T @ h), None

    end, _ = jax.lax.scan(forward, h, length=n_steps)
    zeros = jnp.zeros_like(W_zr), jnp.zeros_like(W_c)
    return jax.lax.scan(backward, (end, *zeros), length=n_steps)[0]
