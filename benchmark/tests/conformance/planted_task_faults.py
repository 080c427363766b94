"""Planted faults of the tasks, the baselines and the sweeps; see `planted_faults`."""

import dataclasses
from typing import Any

import numpy as np

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import Adam, RMSProp
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Sweep
from loptbench.tasks import ProblemBatch, unflatten
from loptbench.tests.conformance.planted_base import ForLosses, SideBySide, Sweeping


class Faultless(Sweeping, SideBySide, ForLosses):
    """No fault: it passes all checks."""

    name = "faultless"


class WrongMinibatchOrder(Reference):
    """The minibatches are taken in reverse order."""

    tasks = ("digits",)
    optimizers = ("gru",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        backwards = {"minibatches": batch.arrays["minibatches"][:, ::-1]}
        return super().problems(dataclasses.replace(batch, arrays=backwards), dtype, device)


class OneMinibatchForAll(Reference):
    """Every problem uses the minibatches of the first."""

    tasks = ("digits",)
    optimizers = ("gru",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        first = np.broadcast_to(batch.arrays["minibatches"][:1], batch.arrays["minibatches"].shape)
        return super().problems(
            dataclasses.replace(batch, arrays={"minibatches": first}), dtype, device
        )


class MirroredKernel(Reference):
    """A convolution as in signal processing: the kernel is mirrored."""

    tasks = ("digits",)
    optimizers = ("gru",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        inner = super().problems(batch, dtype, device)

        def mirrored(x: Array) -> Array:
            parts = unflatten(x, batch.layout)
            for name in ("K_1", "K_2"):
                parts[name] = parts[name][:, :, ::-1, ::-1]
            return np.concatenate([part.reshape(len(x), -1) for part in parts.values()], axis=1)

        return _Changed(inner, mirrored)


class _Changed:
    """Problems that see their parameters changed, and give the gradient back the same way."""

    def __init__(self, inner: Any, change: Any) -> None:
        self.inner, self.change = inner, change

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.inner.loss_and_gradient(self.change(parameters), step)
        return loss, self.change(gradient)


class SquaredPenalty(Reference):
    """The penalty of two moons is on the square of the norm."""

    tasks = ("two_moons",)
    optimizers = ("gru",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        return _Squared(super().problems(batch, dtype, device), float(batch.shared["penalty"]))


class _Squared:
    def __init__(self, inner: Any, penalty: float) -> None:
        self.inner, self.penalty = inner, penalty

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.inner.loss_and_gradient(parameters, step)
        norm = np.sqrt(np.sum(parameters**2, axis=1))
        loss = loss + self.penalty * (norm**2 - norm)
        return loss, gradient + self.penalty * (2 - 1 / norm)[:, None] * parameters


class BuiltInCurvature(Reference):
    """The curvature 100 of Rosenbrock is hard-coded."""

    tasks = ("rosenbrock",)
    optimizers = ("gru",)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        hundred = {"a": np.full_like(batch.arrays["a"], 100.0)}
        return super().problems(dataclasses.replace(batch, arrays=hundred), dtype, device)


class _OneKind(Reference):
    tasks = ("quadratic",)
    kind: Any = Adam

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return self.kind(spec)


class _EpsilonInRoot(RMSProp):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        v = self._squares(state, gradient)
        return v[:, None], -self.alpha * gradient / np.sqrt(v + self.epsilon)


class EpsilonInTheRoot(_OneKind):
    """RMSProp with ε inside the root, as `optax.rmsprop` has it by default."""

    optimizers = ("rmsprop",)
    kind = _EpsilonInRoot


class _Uncorrected(Adam):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        m, v, t = self._moments(state, gradient)
        return np.stack([m, v, t], axis=1), -self.alpha * m / (np.sqrt(v) + self.epsilon)


class UncorrectedAdam(_OneKind):
    """Adam without the correction of its bias."""

    optimizers = ("adam",)
    kind = _Uncorrected


class _LateCorrection(Adam):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        late = state + np.array([0.0, 0.0, 1.0])
        new, update = super().step(late, gradient)
        return new - np.array([0.0, 0.0, 1.0]), update


class LateCorrection(_OneKind):
    """Adam counts its steps from 1 instead of 0."""

    optimizers = ("adam",)
    kind = _LateCorrection


class NesterovAsMomentum(Reference):
    """Nesterov without looking ahead."""

    tasks = ("quadratic",)
    optimizers = ("nesterov",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return super().optimizer(dataclasses.replace(spec, kind="momentum"), dtype, device)


class _OneSweep(Sweeping):
    tasks = ("quadratic",)
    optimizers = ("momentum",)


class MixedUpDraws(_OneSweep):
    """A sweep gives each draw the hyperparameters of another draw."""

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        kind, hyperparameters, *remaining = arguments
        mixed_up = {name: values[::-1] for name, values in hyperparameters.items()}
        inner: Any = super().sweep
        swept: tuple[Array, Sweep] = inner(kind, mixed_up, *remaining)
        return swept


class PoisonedSweep(_OneSweep):
    """A draw that diverges makes the losses of all draws NaN."""

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        loss, end = super().sweep(*arguments)
        if not np.all(np.isfinite(end.parameters)) or np.abs(end.parameters).max() > 1e20:
            loss = loss + np.nan
        return loss, end


class SweepFromTheStart(Sweeping):
    """A sweep counts its steps from zero, even if its draws continue."""

    tasks = ("digits",)
    optimizers = ("momentum",)

    def sweep(self, *arguments: Any) -> tuple[Array, Sweep]:
        *leading, at, n_steps = arguments
        inner: Any = super().sweep
        loss, end = inner(*leading, at._replace(step=0 * at.step), n_steps)
        return loss, end._replace(step=at.step + n_steps)
