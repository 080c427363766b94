"""Planted faults of an optimizer's own `drive` and `gain`; see `planted_faults`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from loptbench.implementations.reference.optimizers import GRU, Momentum
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
from loptbench.tests.conformance.planted_base import Small, WithGRU


class _LateGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return super().drive(state, gradients, [max(time - 1, 0) for time in times])


class DrivenOneStepLess(WithGRU):
    """The state at each time is the one before it."""

    gru = _LateGRU


class _ShiftedGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        if gradients.ndim == 2:
            gradients = np.concatenate([gradients[1:], gradients[:1]])
        return super().drive(state, gradients, times)


class NextGradient(WithGRU):
    """Each step takes the gradient of the next one."""

    gru = _ShiftedGRU


class _HoldingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return super().drive(state, gradients[0] if gradients.ndim == 2 else gradients, times)


class HoldsTheFirstGradient(WithGRU):
    """Every step takes the first gradient, though others are given."""

    gru = _HoldingGRU


class _OneBlockGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        states = np.tile(state, (len(times), 1, 1))
        states[:, :128] = super().drive(state[:128], gradients[..., :128], times)
        return states


class DrivesOneBlock(WithGRU):
    """Components beyond the first 128 are not driven."""

    gru = _OneBlockGRU


class _ImpatientGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        every = super().drive(state, gradients, range(times[-1] + 1))
        slow = np.abs(np.diff(every, axis=0)).max(axis=(1, 2)) < 1e-9
        ends = gradients.ndim == 1 and bool(np.any(slow))
        return np.asarray(every[np.minimum(times, np.argmax(slow))] if ends else every[times])


class EndsWhereItIsSlow(WithGRU):
    """A drive under a constant gradient ends where the states change by less than 1e-9."""

    gru = _ImpatientGRU


class _RestingMomentum(Momentum):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        every = super().drive(state, gradients, range(times[-1] + 1))
        resting = np.all(every[1:] == every[:-1], axis=(1, 2))
        last = int(np.argmax(resting)) if np.any(resting) else times[-1]
        return np.asarray(every[np.minimum(times, last)])


class EndsAtRest(Small):
    """A drive ends where the states rest, though another gradient follows."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        if spec.kind == "momentum":
            return _RestingMomentum(spec)
        return super().optimizer(spec, dtype, device)


class _CoupledGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return super().drive(state, gradients * (1 + 1e-6 * np.sign(gradients[..., :1])), times)


class DrivesComponentsTogether(WithGRU):
    """The gradient of the first component changes those of all others."""

    gru = _CoupledGRU


class _SpoiledGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        states = super().drive(state, gradients, times)
        states[np.isnan(states).any(axis=(1, 2))] = np.nan
        return states


class OneComponentSpoilsAll(WithGRU):
    """Where one component is NaN, all are."""

    gru = _SpoiledGRU


class _RestartingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return super().drive(self.initial_state(len(state)), gradients, times)


class DrivesFromTheInitialState(WithGRU):
    """The drive starts from h0, not from the state that is given."""

    gru = _RestartingGRU


class _BackwardGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        return super().drive(state, gradients, times)[::-1].copy()


class LastTimeFirst(WithGRU):
    """The states are returned from the last time to the first."""

    gru = _BackwardGRU


class _SqueezingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        states = super().drive(state, gradients, times)
        return states[0] if len(times) == 1 else states


class NoAxisForOneTime(WithGRU):
    """With one time, the axis of the times is left out."""

    gru = _SqueezingGRU


class _ConsumingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        states = super().drive(state, gradients, times)
        state[:] = states[-1]
        return states


class DrivesInPlace(WithGRU):
    """The drive overwrites the state that it starts from."""

    gru = _ConsumingGRU


class _BufferingGRU(GRU):
    def drive(self, state: Array, gradients: Array, times: Sequence[int]) -> Array:
        states = super().drive(state, gradients, times)
        buffers: dict[tuple[int, ...], Array] = self.__dict__.setdefault("buffers", {})
        buffer = buffers.setdefault(states.shape, np.empty_like(states))
        buffer[...] = states
        return buffer


class DrivesIntoABuffer(WithGRU):
    """Every drive of the same size returns the same array."""

    gru = _BufferingGRU


class _ZeroGainGRU(GRU):
    def gain(self, state: Array, gradient: Array) -> Array:
        return super().gain(state, 0 * gradient)


class GainAtZero(WithGRU):
    """The gain is that at a gradient of zero."""

    gru = _ZeroGainGRU


class _NegatedGainGRU(GRU):
    def gain(self, state: Array, gradient: Array) -> Array:
        return -super().gain(state, gradient)


class GainAsARate(WithGRU):
    """The gain has the sign of a learning rate, −∂U/∂g."""

    gru = _NegatedGainGRU


class _NextStateGainGRU(GRU):
    def gain(self, state: Array, gradient: Array) -> Array:
        return super().gain(self.step(state, gradient)[0], gradient)


class GainAfterTheStep(WithGRU):
    """The gain is that at the state after the step."""

    gru = _NextStateGainGRU


class _SharedGainGRU(GRU):
    def gain(self, state: Array, gradient: Array) -> Array:
        return np.full_like(gradient, super().gain(state, gradient).sum())


class GainOfTheSum(WithGRU):
    """Every component has the derivative of the sum of the updates along (1, …, 1)."""

    gru = _SharedGainGRU
