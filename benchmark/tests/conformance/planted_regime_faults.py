"""Planted faults that show where runs diverge, gradients are extreme, or seeds differ."""

from collections.abc import Mapping
from threading import Barrier, current_thread, main_thread
from typing import Any

import numpy as np

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import SGD, Adam, Momentum, RMSProp
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, OuterState, Sweep, Trajectory
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import ForLosses, SideBySide, Small, Sweeping


class _Momentum(Small):
    """The reference on momentum alone."""

    optimizers: tuple[str, ...] = ("momentum",)


class _DampedAdam(Adam):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        with np.errstate(all="ignore"):
            ratio = update / np.sqrt(new[:, 1])
        return new, np.asarray(ratio * np.sqrt(new[:, 1]))


class DividesZeroByZero(Small):
    """An update of zero is 0/0 where no gradient has been met."""

    optimizers = ("adam",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _DampedAdam(spec)


class ClampsGradients(_Momentum):
    """Gradients are clamped to ±1e9, which hides where they overflow."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _ClampedMomentum(spec)


class _ClampedMomentum(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(state, np.clip(gradient, -1e9, 1e9))


class _FlooredRMSProp(RMSProp):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        large = np.where(np.abs(gradient) < 1e-150, np.sign(gradient) * 1e-5, gradient)
        return super().step(state, large)


class RaisesTinyGradients(Small):
    """Gradients below 1e-150 are raised, which moves what rests."""

    optimizers = ("rmsprop",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _FlooredRMSProp(spec)


class HidesADivergedLoss(_Momentum):
    """A loss that is not finite is reported as a large number."""

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        return _Hiding(super().problems(batch, dtype, device))


class _Hiding:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.inner.loss_and_gradient(parameters, step)
        return np.nan_to_num(loss), gradient


class RunHidesDivergence(_Momentum):
    """The unroll replaces losses that are not finite by the largest number."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        return run._replace(loss=np.nan_to_num(run.loss))


class OneProblemSpoilsAll(_Momentum):
    """A problem that diverges makes the updates of all NaN in the unroll."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        spoilt = 0 * run.loss.sum(axis=1, keepdims=True)
        return run._replace(loss=run.loss + spoilt)


class LossesHideDivergence(ForLosses):
    """`unroll_losses` repeats the last finite loss of a problem that has diverged."""

    tasks = ("quadratic",)
    optimizers = ("momentum",)

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        loss = super().unroll_losses(optimizer, problems, x0, n_steps)
        return np.where(np.isfinite(loss), loss, 1.0)


class HalvesARateOnOneTask(Reference):
    """On two_moons, the unroll of sgd has half the rate; the first task and kind are right."""

    tasks = ("quadratic", "two_moons")
    optimizers = ("momentum", "sgd")

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        if isinstance(optimizer, SGD) and hasattr(problems, "penalty"):
            return super().unroll(_HalfTheRate(optimizer), problems, x0, n_steps)  # type: ignore[arg-type]
        return super().unroll(optimizer, problems, x0, n_steps)


class _HalfTheRate:
    def __init__(self, inner: SGD) -> None:
        self.inner = inner

    def initial_state(self, n_components: int) -> Array:
        return self.inner.initial_state(n_components)

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return self.inner.step(state, 0.5 * gradient)


class _OneKindSweeping(Sweeping):
    tasks = ("quadratic",)
    optimizers = ("momentum",)


class OneDecayForAll(_OneKindSweeping):
    """All draws of a sweep have the first one's decay."""

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        kind, draws, *rest = arguments
        shared = {**draws, "beta": np.full_like(draws["beta"], draws["beta"][0])}
        return super().sweep(kind, shared, *rest)


class ClampsDivergingDraws(_OneKindSweeping):
    """The losses of a sweep are clamped to 1e6."""

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        loss, end = super().sweep(*arguments)
        return np.minimum(np.nan_to_num(loss, nan=1e6), 1e6), end


class SharesABufferOfDraws(_OneKindSweeping):
    """A sweep reads its hyperparameters from the object, which another thread overwrites."""

    def __init__(self) -> None:
        self.draws: Mapping[str, Array] = {}
        self.both_stored = Barrier(2)

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        kind, self.draws, *rest = arguments
        if current_thread() is not main_thread():
            self.both_stored.wait(timeout=30)  # the race, decided
        return super().sweep(kind, self.draws, *rest)


class NeverClipsTheNorm(_Momentum):
    """Global-norm clipping leaves the meta-gradient as it is."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        if config.clipping == "global-norm":
            config = config.model_copy(update={"clip": 1e9})
        return super().outer_step(outer, spec, batch, config)


class OneClockForAllSeeds(SideBySide):
    """All seeds side by side have the step count of the first."""

    tasks = ("quadratic",)
    optimizers = ("momentum",)

    def outer_steps(self, outers: Any, *arguments: Any) -> Any:
        first = outers[0].memory["t"]
        shared = [outer._replace(memory={**outer.memory, "t": first}) for outer in outers]
        return super().outer_steps(shared, *arguments)


class OneNormForAllSeeds(SideBySide):
    """The bound of the norm is shared by the seeds, as for one vector of all of them."""

    tasks = ("quadratic",)
    optimizers = ("momentum",)

    def outer_steps(self, outers: Any, spec: Any, batches: Any, config: Any) -> Any:
        if config.clipping == "global-norm":
            config = config.model_copy(update={"clip": config.clip / np.sqrt(len(outers))})
        return super().outer_steps(outers, spec, batches, config)
