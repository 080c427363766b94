"""Checks of sweeps: many hyperparameters at once, as the tuner runs them."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.tolerances import SWEEP_MULTIPLE
from loptbench.conformance.cases import EXAMPLES, cases
from loptbench.conformance.full_size import SMALL_PROBLEM, drawn_size, repeated
from loptbench.conformance.messages import explained
from loptbench.conformance.purity import SHORT_RUN
from loptbench.conformance.step_checks import to_float64
from loptbench.conformance.subject import Scope, Subject, Unchanged, require_array
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Sweep, Sweeps
from loptbench.rollout.trajectory import run_by_run, start_sweep

ORDINARY, DIVERGING = [0, 1, 3], [2, 4]
"""Draws whose runs stay finite, and draws that diverge: at once, and step by step."""

REPEATED_ORDINARY = [0, 1, 3, 3, 1]
"""As many ordinary draws, in an order that is another one backwards."""

RATE_FACTORS = np.array([1.0, 0.5, 1e30, 0.8, 1e4])
DECAY_FACTORS = np.array([1.0, 1.2, 0.9, 0.7, 1.1])
"""Factors of the learning rate, and of 1 − decay, by draw."""

FIRST_STEPS = np.array([0, 3, 0, 250, 1])
"""Steps that each draw has taken before."""

MAX_GROWTH = 30
"""Losses of a diverging draw may be this many times as far off as those of the second run."""

N_SWEEPS_PER_THREAD = 4

GROUP_SIZE, TUNING_PROBLEMS = 256, 64
"""Draws that the tuner runs at a time at most, and problems of a tuning."""

LARGE_SWEEP_STEPS = 3

SLOW_DECAY = 1 - 1e-4
"""The largest decay that the tuner draws."""


def draws_of(spec: OptimizerSpec, dtype: str) -> dict[str, NDArray[np.float64]]:
    """Draws that differ from each other in every hyperparameter of the spec."""
    draws = {
        name: value * RATE_FACTORS if name == "alpha" else 1 - (1 - value) * DECAY_FACTORS
        for name, value in spec.parameters.items()
    }
    return {name: values.astype(dtype).astype(np.float64) for name, values in draws.items()}


def sweep(subject: Subject) -> Iterator[Comparison]:
    """A sweep of draws, diverging ones too, is the oracle's runs draw by draw, from any state."""
    implementation, dtype = subject.implementation, subject.dtype
    if not isinstance(implementation, Sweeps):
        raise CheckSkippedError("no sweeps are offered: no method sweep")
    declaration: Any = implementation
    kind = subject.spec.kind if subject.spec.kind in EXAMPLES else "momentum"
    if kind not in declaration.optimizers:
        raise CheckSkippedError(f"sweeps are of hand-designed kinds, and {kind!r} is not offered")
    batch, problems = subject.batch, subject.problems().raw
    (example,) = cases(kind, batch.task, batch.seed, {})
    spec = example.spec.rounded_to(dtype)
    draws = draws_of(spec, dtype)
    start = start_sweep(batch, kind, draws, dtype)._replace(step=FIRST_STEPS)
    oracle_problems = oracle().problems(batch, "float64", subject.device)
    at, expected = start, Sweep(to_float64(start.parameters), to_float64(start.state), start.step)

    nearby_draws, nearby = _nearby(draws, expected, dtype)
    grown = np.zeros((len(FIRST_STEPS), batch.n_problems))

    def oracle_run(draws: Mapping[str, Array], at: Sweep, n_steps: int) -> tuple[Array, Sweep]:
        return run_by_run(
            oracle(), kind, draws, spec.constants, oracle_problems, at, n_steps, "float64"
        )

    def run(draws: Mapping[str, Array], at: Sweep, n_steps: int) -> tuple[Array, Sweep]:
        with np.errstate(all="ignore"):
            return implementation.sweep(kind, draws, spec.constants, problems, at, n_steps)

    for n_steps in (SHORT_RUN, 5):
        with Unchanged("sweep", at, draws):
            loss, at = run(draws, at, n_steps)
        require_array("sweep's loss", loss, (n_steps, len(FIRST_STEPS), batch.n_problems), dtype)
        expected_loss, expected = oracle_run(draws, expected, n_steps)
        nearby_loss, nearby = oracle_run(nearby_draws, nearby, n_steps)
        words = f"in a sweep of {n_steps} steps of {_in_words(draws)}"
        yield from explained(_compare_ordinary(dtype, loss, at, expected_loss, expected), words)
        grown = np.maximum.accumulate([grown, *_distance(nearby_loss, expected_loss)])
        _require_diverged(dtype, loss, expected_loss, grown[1:], words)
        grown = grown[-1]
        if not np.array_equal(at.step, expected.step):
            raise CheckFailedError(
                f"sweep says that {at.step} steps are done, but it is {expected.step}"
            )
    _require_threads_apart(lambda draws: run(draws, start, SHORT_RUN)[0], draws, dtype)
    if subject.varies_sizes and Scope.TASK in subject.scopes:
        for n_draws, n_problems in sweep_sizes(subject):
            yield from _compare_large_sweep(subject, spec, n_draws, n_problems)


def sweep_sizes(subject: Subject) -> Iterator[tuple[int, int]]:
    """Numbers of draws and of problems: one draw alone, and more than a group of the tuner has.

    On networks so many runs would fill the memory.
    """
    yield 1, subject.batch.n_problems
    if subject.case.task.n_parameters <= SMALL_PROBLEM:
        seed = subject.case.batch.seed
        draws = GROUP_SIZE + drawn_size(seed, "draws", 1, 40)
        yield draws, TUNING_PROBLEMS + drawn_size(seed, "tuning", 1, 20)


def _compare_large_sweep(
    subject: Subject, spec: OptimizerSpec, n_draws: int, n_problems: int
) -> Iterator[Comparison]:
    """Compare a short sweep whose draws and problems are a few, repeated in a drawn order."""
    seed, dtype, kind = subject.case.batch.seed, subject.dtype, spec.kind
    draws = {
        name: np.append(values[ORDINARY], (0.1 * values[0] if name == "alpha" else SLOW_DECAY))
        for name, values in draws_of(spec, dtype).items()
    }
    n_distinct = len(ORDINARY) + 1
    which = repeated(n_distinct, n_draws, seed)
    positions = repeated(subject.batch.n_problems, n_problems, seed + 1)
    batch = subject.batch.part(positions.tolist())
    chosen = {name: values[which] for name, values in draws.items()}
    start = start_sweep(batch, kind, chosen, dtype)
    with np.errstate(all="ignore"):
        loss, at = subject.implementation.sweep(
            kind,
            chosen,
            spec.constants,
            subject.problems(batch).raw,
            start,
            LARGE_SWEEP_STEPS,
        )
    shape = (LARGE_SWEEP_STEPS, n_draws, n_problems)
    require_array("sweep's loss", loss, shape, dtype)
    few = start_sweep(subject.batch, kind, draws, "float64")
    few = few._replace(parameters=to_float64(subject.cast(few.parameters)))
    problems = oracle().problems(subject.batch, "float64", subject.device)
    expected_loss, expected = run_by_run(
        oracle(), kind, draws, spec.constants, problems, few, LARGE_SWEEP_STEPS, "float64"
    )
    limit = SWEEP_MULTIPLE * float(np.finfo(dtype).eps)
    right = expected_loss[:, which][:, :, positions]
    right_x = expected.parameters[which][:, positions]
    scale = np.maximum(np.abs(right), np.abs(right[0]))
    x = to_float64(at.parameters)
    yield from explained(
        [
            compare("sweep's loss", loss, right, scale, limit, ("step", "draw", "problem")),
            compare(
                "sweep's parameters", x, right_x, 1 + np.abs(right_x), limit, ("draw", "problem")
            ),
        ],
        f"in a sweep of {n_draws} draws on {n_problems} problems, which repeat {_in_words(draws)}",
    )


def _nearby(draws: Mapping[str, Array], at: Sweep, dtype: str) -> tuple[dict[str, Array], Sweep]:
    """The draws and their start, with the errors that ordinary draws may have at their end."""
    rng, error = np.random.default_rng(0), SWEEP_MULTIPLE * float(np.finfo(dtype).eps)

    def displaced(values: Array) -> Array:
        return np.asarray(values * (1 + error * rng.choice([-1.0, 1.0], values.shape)))

    return {name: displaced(values) for name, values in draws.items()}, at._replace(
        parameters=displaced(at.parameters)
    )


def _distance(loss: Array, expected: Array) -> Array:
    """The distance of losses; infinite where one of them is not finite."""
    with np.errstate(all="ignore"):
        return np.asarray(np.nan_to_num(np.abs(loss - expected), nan=np.inf))


def _in_words(draws: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} = {values}" for name, values in draws.items())


def _compare_ordinary(
    dtype: str, loss: Array, at: Sweep, expected_loss: Array, expected: Sweep
) -> list[Comparison]:
    """Compare losses and parameters of the draws that do not diverge."""
    limit = SWEEP_MULTIPLE * float(np.finfo(dtype).eps)
    right = expected_loss[:, ORDINARY]
    scale = np.maximum(np.abs(right), np.abs(right[0]))
    x, right_x = to_float64(at.parameters[ORDINARY]), expected.parameters[ORDINARY]
    return [
        compare(
            "sweep's loss", loss[:, ORDINARY], right, scale, limit, ("step", "draw", "problem")
        ),
        compare("sweep's parameters", x, right_x, 1 + np.abs(right_x), limit, ("draw", "problem")),
    ]


def _require_diverged(dtype: str, loss: Array, expected: Array, grown: Array, words: str) -> None:
    """Require that draws which diverge have the oracle's losses, or overflow as their dtype must.

    A loss is a sum of squares, which overflow where their root is that of the largest number. From
    there on, losses need not be finite; where the oracle's are not, they must not be. Before,
    errors are those of rounding, amplified as the oracle's second run shows. On a network whose
    units saturate they become as large as the loss.
    """
    loss, expected = to_float64(loss)[:, DIVERGING], expected[:, DIVERGING]
    with np.errstate(all="ignore"):
        large = ~(np.abs(expected) < np.sqrt(np.finfo(dtype).max) / 1e3)
        may_overflow = np.maximum.accumulate(large)
        limit = 0.5 * np.maximum(np.abs(expected), np.abs(expected[0]))
        limit = limit + MAX_GROWTH * grown[:, DIVERGING]
        close = np.abs(loss - expected) <= limit
    right = np.where(
        np.isfinite(loss), np.isfinite(expected) & close, may_overflow | ~np.isfinite(expected)
    )
    if not right.all():
        step, draw, problem = (int(i) for i in np.argwhere(~right)[0])
        raise CheckFailedError(
            f"step {step}, draw {DIVERGING[draw]}, problem {problem}: sweep's loss of a draw that "
            f"diverges = {loss[step, draw, problem]:.9g}, but should be "
            f"{expected[step, draw, problem]:.9g}; {words}"
        )


@contextlib.contextmanager
def _frequent_thread_switches() -> Iterator[None]:
    """Let Python switch threads a thousand times as often, which makes a race show."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _require_threads_apart(
    losses_of: Callable[[Mapping[str, Array]], Array], draws: Mapping[str, Array], dtype: str
) -> None:
    """Require the same losses from sweeps in two threads at a time as from one after the other."""
    # The ordinary draws alone are compared, because the others magnify what is rounded differently.
    ordinary = {name: values[REPEATED_ORDINARY] for name, values in draws.items()}
    reverse = {name: values[::-1].copy() for name, values in ordinary.items()}
    both_started = Barrier(2)

    def repeated(draws: Mapping[str, Array]) -> list[Array]:
        both_started.wait()
        return [losses_of(draws) for _ in range(N_SWEEPS_PER_THREAD)]

    alone = [losses_of(draws) for draws in (ordinary, reverse)]
    with _frequent_thread_switches(), ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(repeated, draws) for draws in (ordinary, reverse)]
        beside = [future.result() for future in futures]
    limit = SWEEP_MULTIPLE * float(np.finfo(dtype).eps)
    for expected, losses in zip(alone, beside, strict=True):
        scale = np.maximum(np.abs(expected), np.abs(expected[0]))
        if not all(np.all(np.abs(loss - expected) <= limit * scale) for loss in losses):
            raise CheckFailedError(
                "sweep returned other losses while a second thread was in sweep, than alone; the "
                "tuner calls it from two threads at a time"
            )
