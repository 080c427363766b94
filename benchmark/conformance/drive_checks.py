"""Checks of an optimizer's own drive: many components under given gradients."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.memory import remembered
from loptbench.agreement.tolerances import free_running_bound
from loptbench.agreement.trajectories import (
    N_PERTURBED_RUNS,
    PERTURBATION,
    PerturbedOptimizer,
    above_underflow,
)
from loptbench.conformance.messages import vector
from loptbench.conformance.purity import other_spec, require_pure
from loptbench.conformance.step_checks import random_inputs, to_float64
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.mechanisms.dynamics.driving import drive_by_steps
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Drives

Float = NDArray[np.float64]

N_COMPONENTS = 33
N_STEPS = 260

LONG_DRIVE = 1100
"""Steps of a drive of few components; the probes take up to 2,000."""

LATE_STEP = 200
"""First step of `pausing_gradients` after the pause."""

DIVERGING = (4, 11)
"""Components whose gradients are not finite in `drive_with_divergence`."""

LOST = 7
"""The component whose state is NaN from the start."""


def drive(subject: Subject) -> Iterator[Comparison]:
    """An optimizer's own drive takes the oracle's steps, under constant and given gradients."""
    if not isinstance(subject.optimizer().raw, Drives):
        raise CheckSkippedError("drives are not offered: no method drive on the optimizer")
    state, constant = random_inputs(subject, N_COMPONENTS)
    rows = pausing_gradients(subject, constant)
    yield from _compare_drive(subject, state, constant, [0, 1, 2, N_STEPS])
    yield from _compare_drive(subject, state, rows, [1, 7, LATE_STEP + 1, N_STEPS - 3])
    late_first = np.roll(rows, 3 - LATE_STEP, axis=0)
    yield from _compare_drive(subject, 0 * state, late_first, range(2, 6))
    _require_pure_drive(subject, state, constant)
    yield from drive_with_divergence(subject, state, rows)
    if subject.varies_sizes:
        yield from _compare_drive(subject, *random_inputs(subject, 1100), [12])
        few, sizes = random_inputs(subject, 3)
        rng = np.random.Generator(np.random.Philox(key=8))
        long = subject.cast(sizes * rng.uniform(0.5, 1.5, (LONG_DRIVE, 3)))
        yield from _compare_drive(subject, few, long, [600, LONG_DRIVE])
        yield from _compare_drive(subject, few, sizes, [LONG_DRIVE])


def pausing_gradients(subject: Subject, sizes: Array) -> Array:
    """A random gradient for each step, (N_STEPS, n_components), with a long pause before the last.

    A drive that ends where the state rests in the pause, or that holds a gradient, goes wrong.

    Args:
        subject: the implementation under test.
        sizes: the sizes of the gradients, (n_components,).
    """
    rng = np.random.Generator(np.random.Philox(key=6))
    rows = sizes * rng.uniform(0.5, 1.5, (N_STEPS, sizes.size))
    rows[12:LATE_STEP] = 0
    return subject.cast(rows)


def drive_with_divergence(subject: Subject, state: Array, rows: Array) -> Iterator[Comparison]:
    """The other components are the oracle's where states and gradients of some are not finite."""
    rows, state = rows.copy(), state.copy()
    state[LOST] = np.nan
    for component, value in zip(DIVERGING, (np.nan, np.inf), strict=True):
        rows[3, component] = value
    times = [3, 4, 5, 12]
    states = subject.optimizer().drive(state, rows, times)
    diverging = [*DIVERGING, LOST]
    others = np.delete(np.arange(len(state)), diverging)
    yield _compare(subject, states[:, others], state[others], rows[:, others], times)
    with np.errstate(all="ignore"):
        expected = drive_by_steps(
            oracle().optimizer(subject.spec, "float64", "cpu"),
            to_float64(state[diverging]),
            to_float64(rows[:, diverging]),
            times,
        )
    hidden = np.isfinite(states[:, diverging]) & ~np.isfinite(expected)
    if hidden.any():
        i, component, unit = (int(index) for index in np.argwhere(hidden)[0])
        c = diverging[component]
        raise CheckFailedError(
            f"driven for {times[i]} steps, component {c}, which started at {vector(state[c])} and "
            f"had a gradient of {rows[3, c]} in step 3: state variable {unit} is "
            f"{states[i, c, unit]}, but must not be finite"
        )


def _compare_drive(
    subject: Subject, state: Array, gradients: Array, times: Sequence[int]
) -> list[Comparison]:
    states = subject.optimizer().drive(state, gradients, times)
    return [_compare(subject, states, state, gradients, times)]


def _compare(
    subject: Subject, states: Array, state: Array, gradients: Array, times: Sequence[int]
) -> Comparison:
    """Compare states at times with those of a loop over the oracle's steps.

    The bound of a component is that of one step times the error amplification of the oracle up to
    that time; see `tolerances.free_running_bound`.
    """
    expected, scales, amplification = _measured_drive(
        oracle(), subject.spec, to_float64(state), to_float64(gradients), times[-1]
    )
    amplification = amplification[list(times)]
    bounds = free_running_bound(amplification, subject.dtype, subject.device)
    compared = compare(
        "state",
        states,
        expected[list(times)],
        above_underflow(scales[list(times)], subject.dtype),
        bounds[:, :, None],
        ("time", "component", "unit"),
    )
    if compared.ok:
        return compared
    i = compared.first_exceeded
    place = compared.deviation.removeprefix(f"time {i}, ")
    return dataclasses.replace(
        compared, deviation=f"driven for {times[i]} of {times[-1]} steps, {place}"
    )


@remembered
def _measured_drive(
    oracle: Any, spec: OptimizerSpec, h: Float, g: Float, n_steps: int
) -> tuple[Float, Float, Float]:
    """The oracle's states of a drive, their rounding scales, and the amplification of errors.

    Returns: two arrays (n_steps + 1, n_components, n_state), and one (n_steps + 1, n_components).
    """
    reference = oracle.optimizer(spec, "float64", "cpu")
    every_step = range(n_steps + 1)
    expected = drive_by_steps(reference, h, g, every_step)
    scales = _scales(reference, expected, g)
    amplification = np.ones(expected.shape[:2])
    for seed in range(N_PERTURBED_RUNS):
        perturbed = PerturbedOptimizer(reference, seed)
        perturbed_states = drive_by_steps(perturbed, perturbed.perturb(h, scales[0]), g, every_step)
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(perturbed_states - expected)
            scaled = np.where(distance == 0, 0.0, distance / scales) / PERTURBATION
        amplification = np.maximum(amplification, scaled.max(axis=2, initial=0.0))
    return expected, scales, np.maximum.accumulate(amplification)


def _scales(reference: Any, states: Float, gradients: Float) -> Float:
    """The sizes that rounding errors are relative to, of every state, in the shape of `states`."""
    rows = gradients if gradients.ndim == 2 else np.broadcast_to(gradients, states.shape[:2])
    scales = [
        reference.rounding_scale(state, gradient)[0]
        for state, gradient in zip(states[:-1], rows, strict=False)
    ]
    first = scales[0] if scales else np.maximum(1.0, np.abs(states[0]))
    return np.stack([first, *scales])


def _require_pure_drive(subject: Subject, state: Array, gradients: Array) -> None:
    optimizer, times = subject.optimizer(), [0, 1, 2, 20]

    def disturb() -> None:
        optimizer.drive(2 * state, -gradients, times)
        optimizer.step(state, gradients)
        other_optimizer = subject.optimizer(other_spec(subject.spec))
        other_optimizer.drive(state, gradients, times)

    require_pure("drive", lambda: (optimizer.drive(state, gradients, times),), disturb)
