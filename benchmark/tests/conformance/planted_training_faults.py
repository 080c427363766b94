"""Planted faults that show in long trainings and large tunings only; see `planted_faults`."""

import logging
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import GRU, Momentum
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Linearization, MetaGradient, OuterState, Sweep, Trajectory
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import ForLosses, SideBySide, Small, Sweeping, WithGRU
from loptbench.training.settings import MetaTraining


class _OneKind(Small):
    optimizers = ("momentum",)


class TrainsOnPartOfABatch(_OneKind):
    """An outer step takes the first 200 problems of a batch."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        first = batch.part(range(min(200, batch.n_problems)))
        return super().outer_step(outer, spec, first, config)


class TruncatesLongRuns(_OneKind):
    """An outer step has at most 64 inner steps."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        short = config.model_copy(update={"n_steps": min(64, config.n_steps)})
        return super().outer_step(outer, spec, batch, short)


class _WithMemory(_OneKind):
    """An outer step whose memory is changed before it is used."""

    def changed(self, memory: dict[str, Array]) -> dict[str, Array]:
        raise NotImplementedError

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        changed = outer._replace(memory=self.changed(dict(outer.memory)))
        return super().outer_step(changed, spec, batch, config)


class CountsInOneByte(_WithMemory):
    """The number of outer steps is counted modulo 128."""

    def changed(self, memory: dict[str, Array]) -> dict[str, Array]:
        return memory | {"t": np.asarray(int(memory["t"]) % 128)}


class StopsCounting(_WithMemory):
    """The number of outer steps is 10 at most."""

    def changed(self, memory: dict[str, Array]) -> dict[str, Array]:
        return memory | {"t": np.asarray(min(int(memory["t"]), 10))}


class TakesZeroForTheDefault(_OneKind):
    """A beta1 of zero becomes 0.9."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        config = config.model_copy(update={"beta1": config.beta1 or 0.9})
        return super().outer_step(outer, spec, batch, config)


class DividesByTheBatchSize(_OneKind):
    """The meta-objective is the sum over problems, divided by the setting `batch_size`."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        new, objective = super().outer_step(outer, spec, batch, config)
        return new, objective * batch.n_problems / config.batch_size


class SmallStepsLate(_OneKind):
    """The learning rate is halved in the last 30 % of the outer steps."""

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        late = int(outer.memory["t"]) >= 0.7 * config.n_outer_steps
        lower = config.model_copy(update={"learning_rate": config.learning_rate / (1 + late)})
        return super().outer_step(outer, spec, batch, lower)


class KeepsAnInitialStateOfZero(WithGRU):
    """The meta-gradient of h0 is zero where h0 is."""

    optimizers = ("gru",)

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        found = super().meta_gradient(optimizer, problems, x0, n_steps)
        if optimizer.p["h0"].any():
            return found
        return found._replace(gradient={**found.gradient, "h0": 0 * found.gradient["h0"]})


class LeavesOutDivergedProblems(_OneKind):
    """The meta-gradient is that of the problems that are finite."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        found = super().meta_gradient(optimizer, problems, x0, n_steps)
        gradient = {
            name: np.asarray(np.nan_to_num(array)) for name, array in found.gradient.items()
        }
        return found._replace(gradient=gradient)


class SwapsTwoSeeds(SideBySide):
    """Two seeds get each other's problems; three do not."""

    optimizers = ("momentum",)
    tasks = ("quadratic",)

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        ordered = batches[::-1] if len(batches) == 2 else batches
        return super().outer_steps(outers, spec, ordered, config)


class LastSeedSpoilsAll(SideBySide):
    """Where the last seed diverges, all objectives are NaN."""

    optimizers = ("momentum",)
    tasks = ("quadratic",)

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        steps = super().outer_steps(outers, spec, batches, config)
        return [(outer, objective + 0 * steps[-1][1]) for outer, objective in steps]


class _MomentumSweep(Sweeping):
    optimizers = ("momentum",)
    tasks = ("quadratic",)


class RepeatsDraws(_MomentumSweep):
    """Draw 128 is draw 0 again."""

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Any,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        which = np.arange(len(at.step)) % 128
        draws = {name: values[which] for name, values in hyperparameters.items()}
        return super().sweep(kind, draws, constants, problems, at, n_steps)


class BoundsTheDecay(_MomentumSweep):
    """A decay above 0.999 counts as 0.999."""

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Any,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        draws = {**hyperparameters, "beta": np.minimum(hyperparameters["beta"], 0.999)}
        return super().sweep(kind, draws, constants, problems, at, n_steps)


class LateLossesRepeat(ForLosses):
    """From step 3 on, the losses of more than 100 problems are those of the first half, twice."""

    optimizers = ("momentum",)
    tasks = ("quadratic",)

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        loss = super().unroll_losses(optimizer, problems, x0, n_steps).copy()
        half = loss.shape[1] // 2
        if half > 50:
            loss[3:, half : 2 * half] = loss[3:, :half]
        return loss


class _RepeatedHessian:
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.loss_and_gradient = inner.loss_and_gradient

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        product = np.array(self.inner.hessian_vector(parameters, step, vector))
        return np.asarray(product[np.arange(len(product)) % 32])


class SecondDerivativesOfTheFirstProblems(_OneKind):
    """Second derivatives of the loss beyond the 32nd problem are those of the first 32."""

    def meta_gradient(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> MetaGradient:
        repeated: Any = _RepeatedHessian(problems)
        return super().meta_gradient(optimizer, repeated, x0, n_steps)


class _StoppingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        if gradients.ndim == 2:
            return super().drive(state, gradients, times)
        early = sorted({min(time, 500) for time in times})
        states = super().drive(state, gradients, early)
        return states[[early.index(min(time, 500)) for time in times]]


class StopsDriving(WithGRU):
    """Under a constant gradient, the state is at rest after 500 steps."""

    gru = _StoppingGRU


class _HidingMomentum(Momentum):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return np.nan_to_num(super().drive(state, gradients, times), posinf=0.0, neginf=0.0)


class DrivesHideDivergence(_OneKind):
    """A component that has diverged comes back as zero."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _HidingMomentum(spec)


class _ForgivingMomentum(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return super().step(np.nan_to_num(state, posinf=np.inf, neginf=-np.inf), gradient)


class ForgetsABrokenState(_OneKind):
    """A state of NaN counts as zero."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _ForgivingMomentum(spec)


class _BoundedMomentum(Momentum):
    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        self.beta = min(self.beta, 0.999)


class BoundsADecay(_OneKind):
    """A decay above 0.999 counts as 0.999, in every step."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _BoundedMomentum(spec)


class _ShortMomentum(Momentum):
    def linearize(self, state: Array, gradient: Array) -> Linearization:
        return super().linearize(state, gradient)._replace(D=super().gain(state, gradient))

    def gain(self, state: Array, gradient: Array) -> Array:
        D = super().gain(state, gradient)
        whole = len(D) // 512 * 512
        if whole:
            D[whole:] /= 2
        return D


class GainsOfWholeBlocks(_OneKind):
    """The derivative of components beyond whole blocks of 512 is halved."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _ShortMomentum(spec)


class ClipsFarAway(_OneKind):
    """The native run clips gradients, which shows far away only."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Trajectory:
        run = super().unroll(optimizer, problems, x0, n_steps)
        with np.errstate(invalid="ignore"):
            huge = np.abs(run.gradient) > 1e5
        return run._replace(gradient=np.where(huge, 1e5 * np.sign(run.gradient), run.gradient))


class IgnoresTermination(_OneKind):
    """Making an optimizer makes the process ignore that it is to end."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return super().optimizer(spec, dtype, device)


class SilencesLogging(_OneKind):
    """Making an optimizer switches all warnings in logs off."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        logging.disable(logging.CRITICAL)
        return super().optimizer(spec, dtype, device)


TRAINING_FAULTS: dict[type[Reference], tuple[str, str]] = {
    TrainsOnPartOfABatch: ("outer-sizes", r"in an outer step on \d+ problems, float64"),
    TruncatesLongRuns: ("outer-sizes", r"in an outer step of 260 inner steps"),
    CountsInOneByte: ("outer-many-steps", r"after 140 outer steps"),
    StopsCounting: ("outer-many-steps", r"after 20 outer steps"),
    TakesZeroForTheDefault: ("outer-steps", r"without moments, penalty and decay"),
    DividesByTheBatchSize: ("outer-steps", r"outer step 0 with the loop's settings changed"),
    SmallStepsLate: ("outer-steps", r"outer step 1 with the loop's settings changed"),
    KeepsAnInitialStateOfZero: ("meta-gradient", r"meta-gradient of h0 is zero, but should not"),
    LeavesOutDivergedProblems: ("meta-gradient", r"a problem that has diverged may not be left"),
    SwapsTwoSeeds: ("outer-sizes", r"of seed 0 of 2 side by side"),
    LastSeedSpoilsAll: (
        "outer-sizes",
        r"outer objective = nan, but should be .* of 5 side by side",
    ),
    RepeatsDraws: ("sweep", r"draw \d+, .* in a sweep of \d{3} draws on \d+ problems"),
    BoundsTheDecay: ("sweep", r"in a sweep of \d{3} draws|in a sweep of 1 draws"),
    LateLossesRepeat: ("full-size-losses", r"step 3, problem \d+: loss = "),
    SecondDerivativesOfTheFirstProblems: ("full-size-meta-gradient", r"but should be"),
    StopsDriving: ("drive", r"driven for 1100 of 1100 steps"),
    DrivesHideDivergence: ("drive", r"component 7, .* must not be finite"),
    ForgetsABrokenState: ("not-a-number", r"a state of NaN gave the new state"),
    BoundsADecay: ("one-step", r"but should be"),
    GainsOfWholeBlocks: ("gain", r"index 1\d{3}: gain = .* but should be"),
    ClipsFarAway: ("divergence", r"unroll's gradient is .* at the same parameters is"),
    IgnoresTermination: ("initial-state", r"changes what Ctrl-C and SIGTERM do"),
    SilencesLogging: ("initial-state", r"changes the level and handlers of logging"),
}
