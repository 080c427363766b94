"""Checks of levels 3 and 4: Jacobians and meta-gradients."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from loptbench.agreement.comparison import Comparison, compare_arrays
from loptbench.agreement.tolerances import (
    CENTRAL_DIFFERENCE_BOUND,
    DIRECTIONAL_DIFFERENCE_BOUND,
    bound,
    meta_gradient_bound,
)
from loptbench.agreement.trajectories import measured_run, oracle_meta_gradient
from loptbench.conformance.hints import explain_arrays
from loptbench.conformance.messages import explained
from loptbench.conformance.purity import SHORT_RUN, flatten, interleaved, require_pure
from loptbench.conformance.run_checks import LONG_RUN
from loptbench.conformance.step_checks import random_inputs, to_float64
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.mechanisms.dynamics.linearization import central_differences
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Gains, Level, Linearization, MetaGradient
from loptbench.rollout.trajectory import meta_objective
from loptbench.tasks.base import ProblemBatch


def require_float64(subject: Subject) -> None:
    """Skip a dtype whose rounding is larger than the errors that the check detects."""
    if subject.dtype != "float64":
        raise CheckSkippedError(f"compared in float64 only: {subject.dtype} rounds too coarsely")


N_COMPONENTS = (1, 1100)
"""Numbers of components whose derivatives are compared."""

DIVERGED = 1
"""The problem that starts at NaN where a meta-gradient must show it."""

EXPERIMENTS = ("at random states and gradients", "at gradients of zero", "at states of zero")
"""The points of `linearization` and `gain`, in words."""


def _compare_linearizations(
    subject: Subject, actual: Linearization, expected: Linearization, experiment: str
) -> list[Comparison]:
    comparisons = []
    for name, matrix, expected_matrix in zip("ABCD", actual, expected, strict=True):
        right = to_float64(expected_matrix)
        compared = compare_arrays(name, name, matrix, right, subject.dtype, subject.device)
        limit = bound(name, subject.dtype, subject.device)
        comparisons += explained(
            [compared],
            experiment,
            explain_arrays,
            matrix,
            right,
            limit,
            ("component",),
        )
    return comparisons


def linearization(subject: Subject) -> Iterator[Comparison]:
    """A, B, C, D are the oracle's hand-derived ones."""
    optimizer = subject.optimizer()
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    for n in N_COMPONENTS:
        state, gradient = random_inputs(subject, n)
        points = ((state, gradient), (state, 0 * gradient), (0 * state, gradient))
        for words, (h, g) in zip(EXPERIMENTS, points, strict=True):
            expected = reference.linearize(to_float64(h), to_float64(g))
            yield from _compare_linearizations(subject, optimizer.linearize(h, g), expected, words)
    require_pure(
        "linearize",
        lambda: tuple(optimizer.linearize(state, gradient)),
        lambda: optimizer.linearize(0 * state, 2 * gradient),
    )


def linearization_by_differences(subject: Subject) -> list[Comparison]:
    """A, B, C, D are the derivatives of the implementation's own step."""
    require_float64(subject)
    optimizer = subject.optimizer()
    state, _ = random_inputs(subject, 8)
    gradient = np.linspace(-1, 1, 8)
    actual = optimizer.linearize(state, gradient)
    expected = central_differences(optimizer, state, gradient)
    comparisons = []
    for name, matrix, expected_matrix in zip("ABCD", actual, expected, strict=True):
        comparison = compare_arrays(name, name, matrix, expected_matrix, "float64", subject.device)
        largest = float(comparison.error.max(initial=0.0))
        deviation = ""
        if largest > CENTRAL_DIFFERENCE_BOUND:
            deviation = f"{name} is {largest:.1e} from the central differences of step itself"
        limit = np.full_like(comparison.error, CENTRAL_DIFFERENCE_BOUND)
        comparisons.append(dataclasses.replace(comparison, bound=limit, deviation=deviation))
    return comparisons


def gain(subject: Subject) -> Iterator[Comparison]:
    """D, where it is offered alone, is that of the oracle's linearization."""
    optimizer = subject.optimizer()
    if not isinstance(optimizer.raw, Gains):
        raise CheckSkippedError("D alone is not offered: no method gain on the optimizer")
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    for n in N_COMPONENTS:
        state, gradient = random_inputs(subject, n)
        points = ((state, gradient), (state, 0 * gradient), (0 * state, gradient))
        for words, (h, g) in zip(EXPERIMENTS, points, strict=True):
            expected = reference.linearize(to_float64(h), to_float64(g)).D
            actual = optimizer.gain(h, g)
            compared = compare_arrays("D", "gain", actual, expected, subject.dtype, subject.device)
            yield from explained(
                [compared],
                words,
                explain_arrays,
                actual,
                expected,
                bound("D", subject.dtype, subject.device),
                ("component",),
            )
    require_pure(
        "gain",
        lambda: (optimizer.gain(state, gradient),),
        lambda: optimizer.gain(0 * state, 2 * gradient),
    )


def _compare_meta_gradients(
    subject: Subject, actual: MetaGradient, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int
) -> list[Comparison]:
    expected = oracle_meta_gradient(oracle(), spec, batch, n_steps)
    pairs = {"meta-objective": (actual.objective, expected.objective)}
    for name, expected_values in expected.gradient.items():
        values = actual.gradient[name]
        if np.any(expected_values) and not np.any(values):
            raise CheckFailedError(f"the meta-gradient of {name} is zero, but should not be")
        pairs[f"meta-gradient of {name}"] = (values, expected_values)
    # Errors enter at each of the n forward and n backward steps, and are amplified as the oracle's.
    amplification = measured_run(oracle(), spec, batch, n_steps).amplification.parameters.max()
    limit = meta_gradient_bound(float(amplification), n_steps, subject.dtype, subject.device)
    comparisons = []
    for label, (values, expected_values) in pairs.items():
        scale = float(np.abs(expected_values).max(initial=0.0))
        if label == "meta-gradient of b" and "w" in expected.gradient:
            # The gradient of b sums the adjoints of the updates; that of w sums them times units
            # of at most 1. Where those of b cancel, the entries of w still show their size.
            scale = max(scale, float(np.abs(expected.gradient["w"]).max()))
        compared = compare_arrays(
            "meta-gradient",
            label,
            values,
            expected_values,
            subject.dtype,
            subject.device,
            scale,
            limit,
        )
        comparisons += explained(
            [compared],
            f"of a run of {n_steps} steps on {batch.n_problems} problems",
            explain_arrays,
            values,
            expected_values,
            limit,
            ("entry",),
        )
    return comparisons


def meta_gradient(subject: Subject) -> Iterator[Comparison]:
    """The meta-objective and its gradient by every parameter are the oracle's."""
    runs = [(SHORT_RUN, subject.batch)]
    if subject.varies_sizes:
        runs += [(1, subject.batch.part([1, 4])), (LONG_RUN, subject.resized.part([0]))]
    for n_steps, batch in runs:
        actual = subject.meta_gradient(n_steps, *subject.handles(batch))
        yield from _compare_meta_gradients(subject, actual, subject.spec, batch, n_steps)
    if "h0" in subject.spec.parameters:  # where every meta-training begins
        start = {**subject.spec.parameters, "h0": 0 * subject.spec.parameters["h0"]}
        spec = subject.spec.with_parameters(start)
        _, problems, x0 = subject.handles()
        actual = subject.meta_gradient(SHORT_RUN, subject.optimizer(spec), problems, x0)
        yield from explained(
            _compare_meta_gradients(subject, actual, spec, subject.batch, SHORT_RUN),
            "from an initial state of zero",
        )
    _require_divergence_to_show(subject)


def _require_divergence_to_show(subject: Subject) -> None:
    """Require that one diverged problem shows in the meta-gradient, and in its own objective."""
    optimizer, problems, x0 = subject.handles()
    x = x0.copy()
    x[DIVERGED] = np.nan
    with np.errstate(all="ignore"):
        actual = subject.meta_gradient(SHORT_RUN, optimizer, problems, x)
        batch = subject.batch.starting_at(x)
        expected = oracle_meta_gradient(oracle(), subject.spec, batch, SHORT_RUN)
    finite = np.isfinite(actual.objective)
    if finite[DIVERGED] or not np.delete(finite, DIVERGED).all():
        raise CheckFailedError(
            f"problem {DIVERGED} of {len(finite)} starts at NaN, and its meta-objective alone must "
            f"not be finite, but the meta-objectives are {actual.objective}"
        )
    for name, values in expected.gradient.items():
        if not np.isfinite(values).any() and np.isfinite(actual.gradient[name]).any():
            raise CheckFailedError(
                f"problem {DIVERGED} of {len(finite)} starts at NaN, but the meta-gradient of "
                f"{name} has finite entries: a problem that has diverged may not be left out"
            )


def meta_gradient_purity(subject: Subject) -> list[Comparison]:
    """A meta-gradient depends on its optimizer, problems and initial parameters only."""
    handles = subject.handles()
    require_pure(
        "meta_gradient",
        lambda: flatten(subject.meta_gradient(SHORT_RUN, *handles)),
        lambda: subject.meta_gradient(SHORT_RUN, *handles[:2], 2 * handles[2]),
    )
    comparisons = []
    for varied, actual in interleaved(
        subject,
        "meta_gradient",
        Level.META_GRADIENT,
        lambda h: subject.meta_gradient(SHORT_RUN, *h),
    ):
        start = varied.batch.starting_at(varied.x0)
        comparisons += explained(
            _compare_meta_gradients(subject, actual, varied.spec, start, SHORT_RUN),
            f"in {varied.words}, made in turn with runs that differ from it",
        )
    return comparisons


def meta_gradient_by_differences(subject: Subject) -> list[Comparison]:
    """The meta-gradient is the derivative of the implementation's own meta-objective."""
    require_float64(subject)
    n_steps = SHORT_RUN
    spec = subject.spec
    optimizer, problems, x0 = subject.handles()
    rng = np.random.Generator(np.random.Philox(key=5))
    direction = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}

    def slope(epsilon: float) -> float:
        objectives = []
        for sign in (1, -1):
            moved = {k: v + sign * epsilon * direction[k] for k, v in spec.parameters.items()}
            other = subject.optimizer(spec.with_parameters(moved))
            run = subject.unroll(n_steps, other, problems, x0)
            objectives.append(np.mean(meta_objective(run.loss)))
        return float(objectives[0] - objectives[1]) / (2 * epsilon)

    near, far = slope(1e-6), slope(2e-6)
    gradient = subject.meta_gradient(n_steps, optimizer, problems, x0).gradient
    along_direction = sum(float(np.sum(gradient[k] * direction[k])) for k in direction)
    scale = sum(float(np.sum(np.abs(gradient[k] * direction[k]))) for k in direction)
    error = abs(along_direction - near) / scale
    # A difference over twice the distance is four times as far off: |far − near| is three errors.
    limit = DIRECTIONAL_DIFFERENCE_BOUND + abs(far - near) / scale
    deviation = ""
    if not error <= limit:
        deviation = (
            f"along a random direction the meta-gradient is {along_direction:.10g}, but the "
            f"meta-objective of the implementation's own runs changes by {near:.10g} "
            f"± {scale * limit:.1e}"
        )
    quantity = "meta-gradient along a direction"
    return [Comparison(quantity, np.array([error]), np.array([limit]), deviation)]
