"""Planted faults of single steps and evaluations (levels 1 and 3); see `planted_faults`."""

import dataclasses
from typing import Any

import numpy as np

from loptbench.agreement.tolerances import bound
from loptbench.implementations.reference.optimizers import GRU, Momentum
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization
from loptbench.tasks.base import ProblemBatch
from loptbench.tests.conformance.planted_base import Small as Reference
from loptbench.tests.conformance.planted_base import WithGRU


class _AfterProductGRU(GRU):
    def _gates(self, h: Array, gradient: Array) -> tuple[Array, Array, Array]:
        z, r, _ = super()._gates(h, gradient)
        p, s = self.p, self.input_scale * gradient[:, None]
        return z, r, np.tanh(r * (h @ p["W_c"].T) + p["a_c"] * s + p["b_c"])


class AfterProductReset(WithGRU):
    """The reset gate acts after the matrix product, as in `torch.nn.GRUCell` and cuDNN."""

    gru = _AfterProductGRU


class _SwappedGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        z, _, c = self._gates(state, gradient)
        new = (1 - z) * state + z * c
        return new, self.output_scale * (new @ self.p["w"] + self.p["b"])


class SwappedUpdateGate(WithGRU):
    """The update gate keeps the part of the state that it should replace."""

    gru = _SwappedGRU


class _RenamedGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        for name in "Wab":
            z, r = f"{name}_z", f"{name}_r"
            self.p[z], self.p[r] = self.p[r], self.p[z]


class SwappedGates(WithGRU):
    """Update and reset gate have each other's weights."""

    gru = _RenamedGRU


class _TransposedGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.p["W_c"] = self.p["W_c"].T


class TransposedMatrix(WithGRU):
    """One matrix is transposed."""

    gru = _TransposedGRU


class _UnscaledGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.input_scale = 1.0


class ForgottenInputScale(WithGRU):
    """The input scale is left out."""

    gru = _UnscaledGRU


class _Float32GRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new.astype(np.float32).astype(np.float64), update


class Float32Inside(WithGRU):
    """A cast to float32 inside a float64 path."""

    gru = _Float32GRU


class _OffGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        size = np.abs(self.p["w"]).sum() + np.abs(self.p["b"])
        self.p["b"] = self.p["b"] + 10 * bound("update", "float64") * size


class OneWeightOff(WithGRU):
    """One weight is off by ten bounds."""

    gru = _OffGRU


class _CountingGRU(GRU):
    calls = 0

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        self.calls += 1
        return new, update * (1 + 1e-15 * self.calls)


class HiddenCounter(WithGRU):
    """A step depends on the number of calls, by less than every bound."""

    gru = _CountingGRU


class _CouplingGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(state, gradient * (1 + 1e-6 * np.sign(gradient[0])))


class CoupledComponents(WithGRU):
    """Components see the gradient of the first."""

    gru = _CouplingGRU


class _InPlaceGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        gradient *= 0
        return new, update


class WritesIntoItsInput(WithGRU):
    """A step overwrites its argument `gradient`."""

    gru = _InPlaceGRU


class _TransposedJacobianGRU(GRU):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        A, B, C, D = super().linearize(state, gradient)
        return Linearization(np.swapaxes(A, 1, 2).copy(), B, C, D)


class TransposedJacobian(WithGRU):
    """A is ∂F_l/∂h_j where it should be ∂F_j/∂h_l."""

    gru = _TransposedJacobianGRU


class _PrematureGRU(GRU):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        A, B, _, D = super().linearize(state, gradient)
        return Linearization(A, B, self.output_scale * np.tile(self.p["w"], (len(B), 1)), D)


class ReadoutOfOldState(WithGRU):
    """C is the readout itself, as if the update were read from the state before the step."""

    gru = _PrematureGRU


class _ZeroInitialGRU(GRU):
    def initial_state(self, n_components: int) -> Array:
        return np.zeros((n_components, self.p["h0"].size))


class ForgottenInitialState(WithGRU):
    """Runs start from zero, not from the learned h0."""

    gru = _ZeroInitialGRU


class _NumericGRU(GRU):
    def _gates(self, h: Array, gradient: Array) -> tuple[Array, Array, Array]:
        _, r, c = super()._gates(h, gradient)
        s = self.input_scale * gradient[:, None]
        # A sigmoid by e^x / (1 + e^x), which overflows where the stable one does not.
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp(h @ self.p["W_z"].T + self.p["a_z"] * s + self.p["b_z"])
            return e / (1 + e), r, c


class UnstableSigmoid(WithGRU):
    """A sigmoid that is NaN for large gradients."""

    gru = _NumericGRU


@dataclasses.dataclass
class _Problems:
    """The reference's problems with another evaluation."""

    inner: Any
    change: Any

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = self.inner.loss_and_gradient(parameters, step)
        changed: tuple[Array, Array] = self.change(self.inner, parameters, loss, gradient)
        return changed

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        product: Array = self.inner.hessian_vector(parameters, step, vector)
        return product


class _WithProblems(Reference):
    """The reference with another evaluation of the task."""

    @staticmethod
    def change(inner: Any, x: Array, loss: Array, gradient: Array) -> tuple[Array, Array]:
        return loss, gradient

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        return _Problems(super().problems(batch, dtype, device), type(self).change)


class SquaredNormGradient(_WithProblems):
    """The gradient of xᵀHx where the loss has ½xᵀHx."""

    @staticmethod
    def change(inner: Any, x: Array, loss: Array, gradient: Array) -> tuple[Array, Array]:
        return loss, gradient + inner.hessian_vector(x, 0, x)


class MeanGradient(_WithProblems):
    """The gradient of the mean over problems, not each problem's own."""

    @staticmethod
    def change(inner: Any, x: Array, loss: Array, gradient: Array) -> tuple[Array, Array]:
        return loss, gradient / len(loss)


class ForgottenConstant(_WithProblems):
    """The constant c is left out of the loss; the gradient is right."""

    @staticmethod
    def change(inner: Any, x: Array, loss: Array, gradient: Array) -> tuple[Array, Array]:
        return loss - inner.c, gradient


class _WrongShapeGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, update[:, None]


class WrongShape(WithGRU):
    """The update is a column."""

    gru = _WrongShapeGRU


class _WrongDtypeGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, update.astype(np.float32)


class WrongDtype(WithGRU):
    """The update is float32 although the dtype is float64."""

    gru = _WrongDtypeGRU


class _RaisingGRU(GRU):
    calls = 0

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        self.calls += 1
        if self.calls > 100:
            raise RuntimeError("out of patience")
        return super().step(state, gradient)


class RaisesMidway(WithGRU):
    """An exception in the middle of a run."""

    gru = _RaisingGRU


class _NaNGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, np.where(np.abs(gradient) > 1e3, np.nan, update)


class NaNForLargeGradients(WithGRU):
    """The update is NaN for gradients above 1000."""

    gru = _NaNGRU


class _TiledGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        update[1024:] = 0
        return new, update


class OneTileOnly(WithGRU):
    """Components beyond the first 1,024 are not computed."""

    gru = _TiledGRU


class _LostAxisGRU(GRU):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        linear = super().linearize(state, gradient)
        if state.shape[1] > 1:
            return linear
        return linear._replace(B=linear.B[:, 0])


class LostAxis(WithGRU):
    """With one unit, an axis of B is squeezed away."""

    gru = _LostAxisGRU


class _ClippingMomentum(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(np.clip(state, -50, 50), gradient)


class ClippedBuffer(Reference):
    """The buffer of momentum is clipped at a value that runs on this task do not reach."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        if spec.kind == "momentum":
            return _ClippingMomentum(spec)
        return super().optimizer(spec, dtype, device)


class _SilentGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(state, np.nan_to_num(gradient))


class HidesNaN(WithGRU):
    """A gradient of NaN is treated as zero, so a diverged run continues."""

    gru = _SilentGRU


class _BufferedGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        buffers: dict[int, Array] = self.__dict__.setdefault("buffers", {})
        buffer = buffers.setdefault(gradient.size, np.empty_like(update))
        buffer[...] = update
        return new, buffer


class ReusedBuffer(WithGRU):
    """Every step writes its update into the same array."""

    gru = _BufferedGRU


class BuiltInDimension(_WithProblems):
    """The gradient is right for five parameters only."""

    @staticmethod
    def change(inner: Any, x: Array, loss: Array, gradient: Array) -> tuple[Array, Array]:
        return loss, gradient if x.shape[1] == 5 else gradient[:, ::-1].copy()


class SeedsTheWorld(Reference):
    """Making an optimizer seeds NumPy's global generator."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        np.random.seed(0)  # noqa: NPY002  # the fault
        return super().optimizer(spec, dtype, device)
