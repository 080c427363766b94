"""What to measure our outer step against: the textbook's, and the products alone.

`loptbench perf` times both; tests hold ours to the first. Nothing else uses them.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from loptbench.implementations.jax.implementation import Implementation, precise
from loptbench.implementations.jax.optimizers import KINDS, Parameters
from loptbench.implementations.jax.program import Inputs, Program
from loptbench.implementations.jax.tasks import LOSSES
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient as anybody would write it, and the products that it is made of.

    Args:
        spec: a GRU.
        batch: the problems.
        n_steps: inner steps.
        dtype: what to compute in.
        device: where.
    """

    def __init__(
        self,
        spec: OptimizerSpec,
        batch: ProblemBatch,
        n_steps: int,
        dtype: str,
        device: str = "cpu",
    ) -> None:
        one = Implementation()
        optimizer = one.optimizer(spec, dtype, device)
        problems = one.problems(batch, dtype, device)
        self.p = optimizer.parameters
        self.program = Program("gru", problems.task, problems.shapes, n_steps)
        self.inputs = Inputs(optimizer.constants, problems.arrays)
        with precise():
            self.x0 = optimizer.placed.put(batch.initial_parameters)
            self.W_zr = jnp.concatenate([self.p["W_z"], self.p["W_r"]])
            self.h = jnp.full((self.x0.size, self.p["h0"].size), 0.1, self.x0.dtype)

    def meta_gradient(self) -> dict[str, Any]:
        """See `meta_gradient`."""
        with precise():
            _, gradient = meta_gradient(self.program, self.inputs, self.p, self.x0)
            return {name: np.array(leaf) for name, leaf in gradient.items()}

    def products(self) -> Any:
        """See `products`."""
        with precise():
            return np.array(products(self.program.n_steps, self.W_zr, self.p["W_c"], self.h)[0])


@partial(jax.jit, static_argnames="program")
def meta_gradient(
    program: Program, inputs: Inputs, p: Parameters, x0: Array
) -> tuple[Array, Parameters]:
    """The meta-gradient as anybody would write it, and as the paper's authors did.

    A scan over the step of one component, vmapped, which is recomputed on the way back; the
    derivatives, of the loss as of the run, are JAX's.
    """
    kind = KINDS[program.kind]

    def loss_of(x: Array, k: Array) -> Array:
        return LOSSES[program.task](program.shapes, inputs.arrays, x, k)

    def one_component(p: Parameters, h: Array, g: Array) -> tuple[Array, Array]:
        new, update = kind.step(p, inputs.constants, h[None], g[None])
        return new[0], update[0]

    def objective_of(p: Parameters) -> tuple[Array, Array]:
        @jax.checkpoint
        def inner_step(carry: tuple[Array, Array], k: Array) -> tuple[tuple[Array, Array], Array]:
            state, x = carry
            gradient = jax.grad(lambda x: loss_of(x, k).sum())(x)
            state, update = jax.vmap(one_component, (None, 0, 0))(p, state, gradient.reshape(-1))
            return (state, x + update.reshape(x.shape)), loss_of(x, k)

        start = kind.initial_state(p, x0.size), x0
        _, loss = jax.lax.scan(inner_step, start, jnp.arange(program.n_steps))
        objective = jnp.mean(loss, axis=0) / loss[0]
        return jnp.mean(objective), objective

    gradient, objective = jax.grad(objective_of, has_aux=True)(p)
    return objective, gradient


@partial(jax.jit, static_argnames="n_steps")
def products(n_steps: int, W_zr: Array, W_c: Array, h: Array) -> tuple[Array, Array, Array]:
    """The matrix products of a GRU's outer step, and nothing else: no outer step can be faster.

    Two there, two back, and two for the weights, of which each step's go into a sum.

    Args:
        n_steps: inner steps.
        W_zr: (2 · n_units, n_units).
        W_c: (n_units, n_units).
        h: (n_components, n_units).
    """
    n_units = W_c.shape[0]

    def there(h: Array, _: None) -> tuple[Array, None]:
        gates = h @ W_zr.T
        return gates[:, :n_units] @ W_c.T, None

    def back(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        to_h, to_W_zr, to_W_c = carry
        before_c = to_h @ W_c
        before = jnp.concatenate([before_c, before_c], axis=1)
        return (before @ W_zr, to_W_zr + before.T @ h, to_W_c + before_c.T @ h), None

    end, _ = jax.lax.scan(there, h, length=n_steps)
    zeros = jnp.zeros_like(W_zr), jnp.zeros_like(W_c)
    return jax.lax.scan(back, (end, *zeros), length=n_steps)[0]
