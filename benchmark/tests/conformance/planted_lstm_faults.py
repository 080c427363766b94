"""Planted faults of the LSTM, each in one equation; see `planted_faults`."""

from typing import Any

import numpy as np

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import LSTM, LogLSTM
from loptbench.implementations.reference.optimizers.lstm import Gates
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization


class WithLSTM(Reference):
    """The reference with another LSTM, and nothing else."""

    optimizers: tuple[str, ...] = ("lstm",)
    tasks = ("quadratic",)
    cell: type[LSTM] = LSTM

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return self.cell(spec)


class _ForgetBias(LSTM):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.p["b_f"] = self.p["b_f"] + 1


class AddsToTheForgetBias(WithLSTM):
    """A step adds 1 to the forget gate's bias, as other libraries do."""

    cell = _ForgetBias


class _Renamed(LSTM):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        for name in "Wb":
            i, f = f"{name}_i", f"{name}_f"
            self.p[i], self.p[f] = self.p[f], self.p[i]
        self.a["i"], self.a["f"] = self.a["f"], self.a["i"]


class SwapsInputAndForgetGate(WithLSTM):
    """Input and forget gate have each other's weights."""

    cell = _Renamed


class _Clipped(LSTM):
    def _gates(self, h: Array, c: Array, s: Array) -> Gates:
        gates = super()._gates(h, c, s)
        clipped = np.clip(gates.c, -1, 1)
        return gates._replace(c=clipped, t=np.tanh(clipped))


class ClipsTheCell(WithLSTM):
    """The cell is clipped to ±1."""

    cell = _Clipped


class _HiddenCarried(LSTM):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        h, _ = self._split(new)
        return np.concatenate([h, h], axis=1), update


class CarriesHForTheCell(WithLSTM):
    """The next step finds h where the cell should be."""

    cell = _HiddenCarried


class _CellInPlace(LSTM):
    def _gates(self, h: Array, c: Array, s: Array) -> Gates:
        return super()._gates(h, h, s)


class TakesHForTheCell(WithLSTM):
    """The step takes h where it should take the cell."""

    cell = _CellInPlace


class _Coupled(LSTM):
    def _gates(self, h: Array, c: Array, s: Array) -> Gates:
        gates = super()._gates(h, c, s)
        new = (1 - gates.i) * c + gates.i * gates.u
        return gates._replace(f=1 - gates.i, c=new, t=np.tanh(new))


class CouplesTheGates(WithLSTM):
    """The forget gate is one minus the input gate."""

    cell = _Coupled


class _OtherOrder(LSTM):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        return np.concatenate(self._split(new)[::-1], axis=1), update


class StateInTheOtherOrder(WithLSTM):
    """The next state is (c, h)."""

    cell = _OtherOrder


class _ReadsCell(LSTM):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, _ = super().step(state, gradient)
        _, c = self._split(new)
        scale = self.constants["output_scale"]
        return new, scale * (c @ self.p["w"] + self.p["b"])


class ReadsTheCell(WithLSTM):
    """The update is read from the cell."""

    cell = _ReadsCell


class _NoTanh(LSTM):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        gates = self._gates(*self._split(state), self.inputs(gradient))
        h = gates.o * gates.c
        update = self.constants["output_scale"] * (h @ self.p["w"] + self.p["b"])
        return np.concatenate([h, gates.c], axis=1), update


class NoTanhOfTheCell(WithLSTM):
    """h' = o ∘ c'."""

    cell = _NoTanh


class _ColdStart(LSTM):
    def initial_state(self, n_components: int) -> Array:
        state = super().initial_state(n_components)
        state[:, self.n_units :] = 0
        return state


class CellStartsAtZero(WithLSTM):
    """The cell starts at zero, though c0 is trained."""

    cell = _ColdStart


class _ForgottenStart(LSTM):
    def initial_state_pullback(self, state_bar: Array) -> dict[str, Array]:
        adjoints = super().initial_state_pullback(state_bar)
        return {**adjoints, "c0": 0 * adjoints["c0"]}


class NoGradientOfTheFirstCell(WithLSTM):
    """The meta-gradient leaves out c0."""

    cell = _ForgottenStart


class _Detached(LSTM):
    def pullback(
        self, state: Array, gradient: Array, state_bar: Array, update_bar: Array
    ) -> tuple[Array, Array, dict[str, Array]]:
        h_bar, gradient_bar, adjoints = super().pullback(state, gradient, state_bar, update_bar)
        h_bar[:, self.n_units :] = 0
        return h_bar, gradient_bar, adjoints


class DetachesTheCell(WithLSTM):
    """The meta-gradient does not go through the cell."""

    cell = _Detached


class _HalfJacobian(LSTM):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        A, B, C, D = super().linearize(state, gradient)
        A[:, : self.n_units, self.n_units :] = 0
        return Linearization(A, B, C, D)


class JacobianWithoutTheCell(WithLSTM):
    """∂h'/∂c is left out of A."""

    cell = _HalfJacobian


class WithLogLSTM(WithLSTM):
    """The reference with another LSTM of the logarithm."""

    optimizers: tuple[str, ...] = ("log_lstm",)
    cell: type[LSTM] = LogLSTM


class _NotCutOff(LogLSTM):
    def inputs(self, gradient: Array) -> Array:
        s = super().inputs(gradient)
        x, p = self.constants["input_scale"] * gradient, self.constants["log_range"]
        with np.errstate(all="ignore"):
            s[:, 0] = np.log(np.abs(x)) / p
        return s


class LogarithmNotCutOff(WithLogLSTM):
    """The logarithm of a small gradient goes to minus infinity."""

    cell = _NotCutOff


class _SignOnly(LogLSTM):
    def inputs(self, gradient: Array) -> Array:
        s = super().inputs(gradient)
        s[:, 1] = np.sign(self.constants["input_scale"] * gradient)
        return s


class SignOfSmallGradients(WithLogLSTM):
    """A small gradient gives its sign instead of e^p times itself."""

    cell = _SignOnly


class _BuiltInRange(LogLSTM):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.constants["log_range"] = 10.0


class BuiltInLogRange(WithLogLSTM):
    """The range of the logarithm is 10, whatever the constant says."""

    cell = _BuiltInRange


LSTM_FAULTS: dict[type[Reference], tuple[str, str]] = {
    AddsToTheForgetBias: ("one-step", "1 added to the forget gate's bias would give"),
    SwapsInputAndForgetGate: ("one-step", "the input gate i and the forget gate f swapped"),
    ClipsTheCell: ("one-step", "a cell clipped to ±1 would give"),
    CarriesHForTheCell: ("one-step", "h carried in the place of the cell c would give"),
    TakesHForTheCell: ("one-step", "h in the place of the cell c would give"),
    CouplesTheGates: ("one-step", "a forget gate of 1 − i would give"),
    StateInTheOtherOrder: ("one-step", r"a state in the order \(c, h\) would give"),
    ReadsTheCell: ("one-step", "a readout of the cell c' would give"),
    NoTanhOfTheCell: ("one-step", "no tanh of the cell would give"),
    CellStartsAtZero: ("initial-state", "initial state"),
    NoGradientOfTheFirstCell: ("meta-gradient", "c0"),
    DetachesTheCell: ("meta-gradient", "meta-gradient"),
    JacobianWithoutTheCell: ("linearize", "A"),
    LogarithmNotCutOff: ("one-step", "a logarithm that is not cut off at −1 would give"),
    SignOfSmallGradients: ("one-step", "a sign without the linear part near 0 would give"),
    BuiltInLogRange: ("one-step", "log_range"),
}
"""The first check that must fail, and a pattern of its message."""
