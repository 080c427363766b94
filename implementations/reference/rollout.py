"""The inner loop, step by step."""

import numpy as np

from loptbench.implementations.reference.optimizers import ReferenceOptimizer
from loptbench.implementations.reference.optimizers.base import Array
from loptbench.implementations.reference.tasks import ReferenceProblems
from loptbench.protocol import Trajectory


def unroll(
    optimizer: ReferenceOptimizer, problems: ReferenceProblems, x: Array, n_steps: int
) -> Trajectory:
    """A run from the parameters x; `loptbench.protocol.Unrolls.unroll` has the equations."""
    state = optimizer.initial_state(x.size)
    rows = []
    for k in range(n_steps):
        loss, gradient = problems.loss_and_gradient(x, k)
        next_state, flat_update = optimizer.step(state, gradient.reshape(-1))
        update = flat_update.reshape(x.shape)
        rows.append((loss, x, gradient, state, update))
        x, state = x + update, next_state
    loss, xs, gradients, states, updates = (np.stack(column) for column in zip(*rows, strict=True))
    xs = np.concatenate([xs, x[None]])
    states = np.concatenate([states, state[None]])
    return Trajectory(loss, xs, gradients, states, updates)
