"""Planted faults that ports are known to make: the message must say what they are."""

from collections.abc import Callable
from typing import Any

import numpy as np

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import GRU, Adam, Momentum, RMSProp
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, OuterState
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import Small, WithGRU
from loptbench.training.settings import MetaTraining


class _TorchGRU(GRU):
    def _gates(self, h: Array, gradient: Array) -> tuple[Array, Array, Array]:
        z, r, _ = super()._gates(h, gradient)
        p, s = self.p, self.input_scale * gradient[:, None]
        return z, r, np.tanh(r * (h @ p["W_c"].T + p["b_c"]) + p["a_c"] * s)


class TorchCell(WithGRU):
    """The GRU of torch.nn.GRUCell, whose reset gate multiplies the bias, too."""

    gru = _TorchGRU


class _UnscaledUpdate(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, _ = super().step(state, gradient)
        return new, new @ self.p["w"] + self.p["b"]


class ForgottenOutputScale(WithGRU):
    """The output scale is left out."""

    gru = _UnscaledUpdate


class _OldReadout(GRU):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, _ = super().step(state, gradient)
        return new, self.output_scale * (state @ self.p["w"] + self.p["b"])


class ReadsTheOldState(WithGRU):
    """The update is read from the state before the step."""

    gru = _OldReadout


class _OneKind(Small):
    kind: Callable[[OptimizerSpec], Any]

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return type(self).kind(spec)


class _FirstMissing(Adam):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        m, v, t = self._moments(state, gradient)
        root = np.sqrt(v / (1 - np.power(self.beta2, t)))
        return np.stack([m, v, t], axis=1), -self.alpha * m / (root + self.epsilon)


class FirstCorrectionMissing(_OneKind):
    """Adam corrects the bias of the second moment only."""

    optimizers = ("adam",)
    kind = _FirstMissing


class _EarlyEpsilon(Adam):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        m, v, t = self._moments(state, gradient)
        c1, c2 = 1 - np.power(self.beta1, t), 1 - np.power(self.beta2, t)
        update = -self.alpha * np.sqrt(c2) / c1 * m / (np.sqrt(v) + self.epsilon)
        return np.stack([m, v, t], axis=1), update


class EpsilonBeforeTheCorrection(_OneKind):
    """Adam in the efficient order of Kingma and Ba's section 2, where epsilon is another one."""

    optimizers = ("adam",)
    kind = _EarlyEpsilon


class _RateInside(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new = self.beta * state + self.alpha * gradient[:, None]
        return new, -new[:, 0]


class RateInsideTheVelocity(_OneKind):
    """The learning rate is inside the velocity, as in TensorFlow."""

    optimizers = ("momentum",)
    kind = _RateInside


class _Damped(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new = self.beta * state + (1 - self.beta) * gradient[:, None]
        return new, -self.alpha * new[:, 0]


class DampedVelocity(_OneKind):
    """The velocity is a moving average."""

    optimizers = ("momentum",)
    kind = _Damped


class _Adagrad(RMSProp):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        v = state[:, 0] + gradient**2
        return v[:, None], -self.alpha * gradient / (np.sqrt(v) + self.epsilon)


class AdagradForRMSProp(_OneKind):
    """The squares are summed up and never forgotten."""

    optimizers = ("rmsprop",)
    kind = _Adagrad


class PenaltyOnTheSquare(Small):
    """Outer steps add the gradient of the squared norm, 2 θ, for that of the norm, θ / ‖θ‖."""

    optimizers = ("momentum",)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        norm = np.sqrt(sum(float(np.sum(array**2)) for array in outer.parameters.values()))
        squared: MetaTraining = config.model_copy(update={"penalty": 2 * norm * config.penalty})
        return super().outer_step(outer, spec, batch, squared)


class ClipsByNorm(Small):
    """Outer steps clip the norm of the meta-gradient whatever the settings say."""

    optimizers = ("adam",)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        by_norm: MetaTraining = config.model_copy(update={"clipping": "global-norm"})
        return super().outer_step(outer, spec, batch, by_norm)


class DeviatesThenRaises(WithGRU):
    """An update with the wrong sign for few components; an exception for many."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            if gradient.size > 50:
                raise RuntimeError("too many components")
            new, update = super().step(state, gradient)
            return new, -update

    gru = _GRU


class DrawsAtRandom(WithGRU):
    """A step adds noise that it draws from a generator of its own, below every bound."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            new, update = super().step(state, gradient)
            noise = np.random.default_rng().uniform(-1e-15, 1e-15, update.shape)
            return new, update * (1 + noise)

    gru = _GRU


KNOWN_FAULTS: dict[type[Reference], tuple[str, str]] = {
    TorchCell: ("one-step", r"this is what a reset gate .* bias \(as in torch.nn.GRUCell\) would"),
    ForgottenOutputScale: ("one-step", r"this is what output_scale left out would give"),
    ReadsTheOldState: ("one-step", r"this is what a readout of the old state would give"),
    FirstCorrectionMissing: ("one-step", r"what the first bias correction missing would give"),
    EpsilonBeforeTheCorrection: ("one-step", r"epsilon added before the second bias correction"),
    RateInsideTheVelocity: ("one-step", r"what the learning rate inside the velocity would give"),
    DampedVelocity: ("one-step", r"what a velocity damped by 1 − beta would give"),
    AdagradForRMSProp: ("one-step", r"what a sum of all squares \(Adagrad\) would give"),
    PenaltyOnTheSquare: (
        "outer-steps",
        r"in outer step 0 .*meta_train, seed 7; .*the penalty's gradient of the squared norm would",
    ),
    ClipsByNorm: ("outer-steps", r"global-norm clipping instead of elementwise would give"),
    DeviatesThenRaises: (
        "one-step",
        r"with the other sign would give; then raised RuntimeError: too many components",
    ),
    DrawsAtRandom: ("step-purity", r"at once .* it is not deterministic: it draws"),
}
"""Each fails the expected check first, and the message names the mistake."""
