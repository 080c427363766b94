"""Adapted optimizers, computed like any others: their own steps on an implementation's problems."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.adapters.kinds import AdaptedKind
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.mechanisms.dynamics.contract.plain import as_plain
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Optimizer, Problems, Sweep
from loptbench.tasks import ProblemBatch


class AdaptingImplementation:
    """Adapted optimizers on the problems of an implementation, in float64, step by step.

    Everything that takes an implementation and an `OptimizerSpec` can so run them.

    Args:
        inner: the implementation whose problems they run on.
        kinds: the adapted optimizers. They are made known to this process.
    """

    dtypes = ("float64",)
    devices = ("cpu",)

    def __init__(self, inner: Any, kinds: Sequence[AdaptedKind]) -> None:
        self.inner, self.kinds = inner, {kind.name: kind for kind in kinds}
        self.name, self.tasks = inner.name, inner.tasks
        self.optimizers = tuple(self.kinds)
        own = [name for kind in kinds for name in kind.distributions]
        self.versions = tuple(dict.fromkeys([*inner.versions, *own]))
        self._one_at_a_time = threading.Lock()
        for kind in kinds:
            kind.register()

    def __reduce__(self) -> Any:
        """In another process, the kinds are made known there."""
        return type(self), (self.inner, [*self.kinds.values()])

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Optimizer:
        """The optimizer, after all checks, with results as plain arrays."""
        optimizer = self.kinds[spec.kind].optimizer(spec.parameters)
        require_optimizer(optimizer)
        return as_plain(optimizer)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Problems:
        """The problems of the implementation."""
        problems: Problems = self.inner.problems(batch, dtype, device)
        return problems

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Problems,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        """See `loptbench.protocol.Sweeps.sweep`. One draw runs after the other.

        Draws at the end that repeat the one before, which fill a group, are not run again.
        """
        columns = np.stack([*hyperparameters.values(), at.step], axis=1)
        n_distinct = len(columns)
        while n_distinct > 1 and np.array_equal(columns[n_distinct - 1], columns[n_distinct - 2]):
            n_distinct -= 1
        with self._one_at_a_time, np.errstate(all="ignore"):
            runs = [
                self._run(
                    self.kinds[kind].member({k: v[i] for k, v in hyperparameters.items()}),
                    *(problems, at.parameters[i], at.state[i], int(at.step[i]), n_steps),
                )
                for i in range(n_distinct)
            ]
        runs += runs[-1:] * (len(columns) - n_distinct)
        loss, x, state = (np.stack(part) for part in zip(*runs, strict=True))
        return np.moveaxis(loss, 0, 1), Sweep(x, state, at.step + n_steps)

    def _run(
        self, optimizer: Optimizer, problems: Problems, x: Array, h: Array, start: int, n_steps: int
    ) -> tuple[Array, Array, Array]:
        """A part of a run: the losses, and the parameters and states at its end."""
        if start == 0:
            h = optimizer.initial_state(x.size)
        losses = []
        for k in range(start, start + n_steps):
            loss, gradient = problems.loss_and_gradient(x, k)
            h, update = optimizer.step(h, gradient.reshape(-1))
            x = x + update.reshape(x.shape)
            losses.append(loss)
        return np.stack(losses), x, h
