"""Planted faults that show at the sizes of the benchmark only; see `planted_faults`."""

import dataclasses
from typing import Any

import numpy as np

from loptbench.implementations.reference.optimizers import GRU, Momentum
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, MetaGradient, Trajectory
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import ForLosses, Small, WithGRU


class _HalfReadoutGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, _ = super().step(state, gradient)
        return new, self.output_scale * (new[:, :128] @ self.p["w"][:128] + self.p["b"])


class ReadsHalfTheUnits(WithGRU):
    """The update is a readout of the first 128 units."""

    optimizers = ("gru",)
    gru = _HalfReadoutGRU


class _BlockedMomentum(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        blocks = len(update) // 4096 * 4096
        if blocks:
            update[blocks:] = 0
        return new, update


class ForgetsTheLastBlock(Small):
    """Components are updated in blocks of 4,096, and those that are left over are not."""

    optimizers = ("momentum",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _BlockedMomentum(spec)


class StepsFirstComponentsOnly(Small):
    """Components beyond the 4,096th keep their state."""

    optimizers = ("momentum",)

    optimizers = ("momentum",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _FirstComponents(spec)


class _FirstComponents(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        new[4096:] = state[4096:]
        return new, update


class RepeatsTheFirstProblems(Small):
    """The unroll runs 16 problems at a time, and the first 16 again for all later ones."""

    optimizers = ("momentum",)

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        rows = np.arange(len(x0)) % 16
        state = run.state.reshape(n_steps + 1, len(x0), -1)[:, rows].reshape(run.state.shape)
        return Trajectory(
            run.loss[:, rows],
            run.parameters[:, rows],
            run.gradient[:, rows],
            state,
            run.update[:, rows],
        )


class LossesOfTheFirstProblems(ForLosses):
    """Losses of more than 100 problems are those of the first 100, repeated."""

    tasks = ("quadratic",)
    optimizers = ("momentum",)

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        loss = super().unroll_losses(optimizer, problems, x0, n_steps)
        return np.ascontiguousarray(loss[:, np.arange(len(x0)) % 100])


class MeanOfTheFirstProblems(Small):
    """The meta-gradient leaves out the problems beyond the 64th."""

    optimizers = ("momentum",)

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        whole = super().meta_gradient(optimizer, problems, x0, n_steps)
        if len(x0) <= 64:
            return whole
        part = super().meta_gradient(optimizer, _First(problems, len(x0)), x0, n_steps)  # type: ignore[arg-type]
        return whole._replace(gradient=part.gradient)


class _First:
    """Problems whose gradient and Hessian are zero beyond the 64th."""

    def __init__(self, inner: Any, n: int) -> None:
        self.inner, self.kept = inner, (np.arange(n) < 64)[:, None]

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.inner.loss_and_gradient(parameters, step)
        return loss, gradient * self.kept

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        return np.asarray(self.inner.hessian_vector(parameters, step, vector) * self.kept)


class BuiltInWhite(Small):
    """Pixels are divided by 16, whatever white is."""

    tasks = ("digits",)
    optimizers = ("momentum",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        shared = {**batch.shared, "white": np.asarray(16.0)}
        return super().problems(dataclasses.replace(batch, shared=shared), dtype, device)
