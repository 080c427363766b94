"""Implementations with one fault each, which the harness must reject, and for that reason.

All are the reference with a change, so that nothing but the fault can be what is found. `FAULTS`
says which check has to find each, and what its message has to say.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from loptbench.implementations.reference.gru import GRU
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.implementation import ReferenceOptimizer
from loptbench.meta_config import MetaTraining
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization, MetaGradient, OuterState, Trajectory
from loptbench.tasks.base import ProblemBatch
from loptbench.tolerances import bound


class Faultless(Reference):
    """No fault: what it takes to be accepted."""

    name = "faultless"


class _WithGRU(Reference):
    """The reference with another GRU."""

    gru: type[GRU] = GRU

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        if spec.kind == "gru":
            return self.gru(spec)
        return super().optimizer(spec, dtype, device)


class _AfterProductGRU(GRU):
    def _gates(self, h: Array, gradient: Array) -> tuple[Array, Array, Array]:
        z, r, _ = super()._gates(h, gradient)
        p, s = self.p, self.input_scale * gradient[:, None]
        return z, r, np.tanh(r * (h @ p["W_c"].T) + p["a_c"] * s + p["b_c"])


class AfterProductReset(_WithGRU):
    """The reset gate acts after the matrix product, as in `torch.nn.GRUCell` and cuDNN."""

    gru = _AfterProductGRU


class _SwappedGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        z, _, c = self._gates(state, gradient)
        new = (1 - z) * state + z * c
        return new, self.output_scale * (new @ self.p["w"] + self.p["b"])


class SwappedUpdateGate(_WithGRU):
    """The update gate keeps what it should replace."""

    gru = _SwappedGRU


class _RenamedGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        for name in "Wab":
            z, r = f"{name}_z", f"{name}_r"
            self.p[z], self.p[r] = self.p[r], self.p[z]


class SwappedGates(_WithGRU):
    """Update and reset gate have each other's weights."""

    gru = _RenamedGRU


class _TransposedGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.p["W_c"] = self.p["W_c"].T


class TransposedMatrix(_WithGRU):
    """One matrix is transposed."""

    gru = _TransposedGRU


class _UnscaledGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.input_scale = 1.0


class ForgottenInputScale(_WithGRU):
    """The input scale is left out."""

    gru = _UnscaledGRU


class _Float32GRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new.astype(np.float32).astype(np.float64), update


class Float32Inside(_WithGRU):
    """A cast to float32 inside a float64 path."""

    gru = _Float32GRU


class _OffGRU(GRU):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        size = np.abs(self.p["w"]).sum() + np.abs(self.p["b"])
        self.p["b"] = self.p["b"] + 10 * bound("update", "float64") * size


class OneWeightOff(_WithGRU):
    """One weight is off by ten bounds."""

    gru = _OffGRU


class _CountingGRU(GRU):
    calls = 0

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        self.calls += 1
        return new, update * (1 + 1e-15 * self.calls)


class HiddenCounter(_WithGRU):
    """A step remembers how often it was called, within every bound."""

    gru = _CountingGRU


class _CouplingGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(state, gradient * (1 + 1e-6 * np.sign(gradient[0])))


class CoupledComponents(_WithGRU):
    """Components see the gradient of the first."""

    gru = _CouplingGRU


class _InPlaceGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        gradient *= 0
        return new, update


class WritesIntoItsInput(_WithGRU):
    """A step overwrites the gradient it is handed."""

    gru = _InPlaceGRU


class _TransposedJacobianGRU(GRU):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        A, B, C, D = super().linearize(state, gradient)
        return Linearization(np.swapaxes(A, 1, 2).copy(), B, C, D)


class TransposedJacobian(_WithGRU):
    """A is ∂F_l/∂h_j where it should be ∂F_j/∂h_l."""

    gru = _TransposedJacobianGRU


class _PrematureGRU(GRU):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        A, B, _, D = super().linearize(state, gradient)
        return Linearization(A, B, self.output_scale * np.tile(self.p["w"], (len(B), 1)), D)


class ReadoutOfOldState(_WithGRU):
    """C is the readout itself, as if the update were read from the state before the step."""

    gru = _PrematureGRU


class _ZeroInitialGRU(GRU):
    def initial_state(self, n_components: int) -> Array:
        return np.zeros((n_components, self.p["h0"].size))


class ForgottenInitialState(_WithGRU):
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


class UnstableSigmoid(_WithGRU):
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


class LossAfterUpdate(Reference):
    """The unroll records the loss after the update of a step instead of before."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        after = [problems.loss_and_gradient(x, k)[0] for k, x in enumerate(run.parameters[1:])]
        return run._replace(loss=np.stack(after))


class _Kept:
    """An optimizer that starts where the last run ended."""

    def __init__(self, inner: ReferenceOptimizer, states: dict[int, Array]) -> None:
        self.inner, self.states = inner, states

    def initial_state(self, n_components: int) -> Array:
        return self.states.get(n_components, self.inner.initial_state(n_components))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return self.inner.step(state, gradient)


class StateKeptBetweenRuns(Reference):
    """The unroll keeps the state of the previous run."""

    def __init__(self) -> None:
        self.states: dict[int, Array] = {}

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(_Kept(optimizer, self.states), problems, x0, n_steps)  # type: ignore[arg-type]
        self.states = {x0.size: run.state[-1]}
        return run


class OneStepShort(Reference):
    """The unroll repeats the last parameters instead of updating them once more."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        parameters = run.parameters.copy()
        parameters[-1] = parameters[-2]
        return run._replace(parameters=parameters)


class _NoHessian:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        found: tuple[Array, Array] = self.inner.loss_and_gradient(parameters, step)
        return found

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        return np.zeros_like(vector)


class FirstOrderMetaGradient(Reference):
    """The meta-gradient leaves out the second derivatives of the loss."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        return super().meta_gradient(optimizer, _NoHessian(problems), x0, n_steps)  # type: ignore[arg-type]


class ForgottenLeaf(Reference):
    """The meta-gradient of h0 is left at zero."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        found = super().meta_gradient(optimizer, problems, x0, n_steps)
        leaves = {k: 0 * v if k == "h0" else v for k, v in found.gradient.items()}
        return found._replace(gradient=leaves)


class SummedMetaGradient(Reference):
    """The meta-gradient is that of the sum over problems, not of the mean."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        found = super().meta_gradient(optimizer, problems, x0, n_steps)
        leaves = {k: np.asarray(len(x0) * v) for k, v in found.gradient.items()}
        return found._replace(gradient=leaves)


class ForgottenPenalty(Reference):
    """Outer steps leave out the penalty on the weights."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        return super().outer_step(outer, spec, batch, config.model_copy(update={"penalty": 0.0}))


class ConstantRate(Reference):
    """Outer steps leave out the decay of the learning rate."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        return super().outer_step(outer, spec, batch, config.model_copy(update={"decay": 1.0}))


class MemoryInTheObject(Reference):
    """Outer steps remember Adam's moments in the object, not in the outer state."""

    def __init__(self) -> None:
        self.memory: Mapping[str, Any] = {}

    def outer_init(self, parameters: Mapping[str, Array], config: MetaTraining) -> OuterState:
        outer = super().outer_init(parameters, config)
        self.memory = outer.memory
        return outer._replace(memory={})

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: MetaTraining
    ) -> tuple[OuterState, float]:
        fresh = super().outer_init(outer.parameters, config).memory
        full = outer._replace(memory=self.memory or fresh)
        new, objective = super().outer_step(full, spec, batch, config)
        self.memory = new.memory
        return new._replace(memory={}), objective


class _WrongShapeGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, update[:, None]


class WrongShape(_WithGRU):
    """The update is a column."""

    gru = _WrongShapeGRU


class _WrongDtypeGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, update.astype(np.float32)


class WrongDtype(_WithGRU):
    """The update is float32 where float64 was asked for."""

    gru = _WrongDtypeGRU


class _RaisingGRU(GRU):
    calls = 0

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        self.calls += 1
        if self.calls > 100:
            raise RuntimeError("out of patience")
        return super().step(state, gradient)


class RaisesMidway(_WithGRU):
    """An exception in the middle of a run."""

    gru = _RaisingGRU


class _NaNGRU(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return new, np.where(np.abs(gradient) > 1e3, np.nan, update)


class NaNForLargeGradients(_WithGRU):
    """NaN beyond some gradient."""

    gru = _NaNGRU


FAULTS: dict[type[Reference], tuple[str, str]] = {
    AfterProductReset: ("one-step", r"state = .* but should be"),
    SwappedUpdateGate: ("one-step", r"state = .* but should be"),
    SwappedGates: ("one-step", r"state = .* but should be"),
    TransposedMatrix: ("one-step", r"state = .* but should be"),
    ForgottenInputScale: ("one-step", r"state = .* but should be"),
    Float32Inside: ("one-step", r"state = .* but should be"),
    OneWeightOff: ("one-step", r"update = .* but should be"),
    UnstableSigmoid: ("one-step", r"state = nan, but should be"),
    NaNForLargeGradients: ("one-step", r"update = nan, but should be"),
    CoupledComponents: ("one-step", r"but should be"),
    WritesIntoItsInput: ("one-step", r"step must not change what it is handed"),
    WrongShape: ("one-step", r"update must have shape \(1,\), but has \(1, 1\)"),
    WrongDtype: ("one-step", r"update must be float64, but is float32"),
    HiddenCounter: ("step-purity", r"something else for the same arguments"),
    ForgottenInitialState: ("initial-state", r"initial state = 0, but should be"),
    SquaredNormGradient: ("loss-and-gradient", r"gradient = .* but should be"),
    MeanGradient: ("loss-and-gradient", r"gradient = .* but should be"),
    ForgottenConstant: ("loss-and-gradient", r"loss = .* but should be"),
    RaisesMidway: ("teacher-forced", r"raised RuntimeError: out of patience"),
    LossAfterUpdate: ("free-running", r"step 0, problem \d: loss = .* but should be"),
    StateKeptBetweenRuns: (
        "free-running",
        r"step 0, component \d+, unit \d+: state = .* but should",
    ),
    OneStepShort: ("free-running", r"step 1, problem .*parameters = .* but should be"),
    TransposedJacobian: ("linearize", r"A = .* but should be"),
    ReadoutOfOldState: ("linearize", r"C = .* but should be"),
    FirstOrderMetaGradient: ("meta-gradient", r"meta-gradient of .* but should be"),
    ForgottenLeaf: ("meta-gradient", r"meta-gradient of h0 is zero, but should not be"),
    SummedMetaGradient: ("meta-gradient", r"meta-gradient of .* but should be"),
    ForgottenPenalty: ("outer-steps", r"the outer steps' change of .* but should be"),
    ConstantRate: ("outer-steps", r"the outer steps' change of .* but should be"),
    MemoryInTheObject: ("outer-resuming", r"must carry all it remembers in the outer state"),
}
