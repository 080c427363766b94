"""Levels 3 and 4: Jacobians and meta-gradients."""

import dataclasses

import numpy as np

from loptbench.agreement.comparison import Comparison, compare_arrays
from loptbench.agreement.tolerances import (
    CENTRAL_DIFFERENCE,
    DIRECTIONAL_DIFFERENCE,
    meta_gradient_bound,
)
from loptbench.agreement.trajectories import error_amplification, oracle_run, rounding_scales
from loptbench.conformance.purity import SHORT, flat, interleaved, require_pure
from loptbench.conformance.run_checks import LONGER
from loptbench.conformance.step_checks import drawn, exact
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.mechanisms.dynamics.linearization import central_differences
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Level, Linearization, MetaGradient
from loptbench.rollout.trajectory import meta_objective
from loptbench.tasks.base import ProblemBatch


def require_float64(subject: Subject) -> None:
    """Skip where rounding hides what the check looks for."""
    if subject.dtype != "float64":
        raise CheckSkippedError(f"compared in float64 only: {subject.dtype} rounds too coarsely")


def _compare_linearizations(
    subject: Subject, found: Linearization, expected: Linearization
) -> list[Comparison]:
    return [
        compare_arrays(name, name, actual, exact(wanted), subject.dtype, subject.device)
        for name, actual, wanted in zip("ABCD", found, expected, strict=True)
    ]


def linearization(subject: Subject) -> list[Comparison]:
    """A, B, C, D are the oracle's hand-derived ones."""
    optimizer = subject.optimizer()
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    compared = []
    for n in (1, 24, 70):
        state, gradient = drawn(subject, n)
        for h, g in ((state, gradient), (state, 0 * gradient), (0 * state, gradient)):
            expected = reference.linearize(exact(h), exact(g))
            compared += _compare_linearizations(subject, optimizer.linearize(h, g), expected)
    require_pure(
        "linearize",
        lambda: tuple(optimizer.linearize(state, gradient)),
        lambda: optimizer.linearize(0 * state, 2 * gradient),
    )
    return compared


def linearization_by_differences(subject: Subject) -> list[Comparison]:
    """A, B, C, D are the slopes of the implementation's own step."""
    require_float64(subject)
    optimizer = subject.optimizer()
    state, _ = drawn(subject, 8)
    gradient = np.linspace(-1, 1, 8)
    found = optimizer.linearize(state, gradient)
    expected = central_differences(optimizer, state, gradient)
    compared = []
    for name, actual, wanted in zip("ABCD", found, expected, strict=True):
        one = compare_arrays(name, name, actual, wanted, "float64", subject.device)
        largest = float(one.error.max(initial=0.0))
        deviation = ""
        if largest > CENTRAL_DIFFERENCE:
            deviation = f"{name} is {largest:.1e} from the central differences of step itself"
        limit = np.full_like(one.error, CENTRAL_DIFFERENCE)
        compared.append(dataclasses.replace(one, bound=limit, deviation=deviation))
    return compared


def _compare_meta_gradients(
    subject: Subject, found: MetaGradient, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int
) -> list[Comparison]:
    expected = oracle().meta_gradient(
        oracle().optimizer(spec, "float64", subject.device),
        oracle().problems(batch, "float64", subject.device),
        batch.initial_parameters,
        n_steps,
    )
    pairs = {"meta-objective": (found.objective, expected.objective)}
    for name, wanted in expected.gradient.items():
        leaf = found.gradient[name]
        if np.any(wanted) and not np.any(leaf):
            raise CheckFailedError(f"the meta-gradient of {name} is zero, but should not be")
        pairs[f"meta-gradient of {name}"] = (leaf, wanted)
    # Errors enter at each of the n steps there and back, and grow as the oracle says they do.
    run = oracle_run(oracle(), spec, batch, n_steps)
    grown = error_amplification(
        oracle(), spec, batch, run, rounding_scales(oracle(), spec, batch, run)
    ).parameters.max()
    limit = meta_gradient_bound(float(grown), n_steps, subject.dtype, subject.device)
    compared = []
    for label, (leaf, wanted) in pairs.items():
        scale = float(np.abs(wanted).max(initial=0.0))
        if label == "meta-gradient of b" and "w" in expected.gradient:
            # b gathers the adjoints of the updates as they are, w weighs them by units of at most
            # 1: where those of b cancel, the entries of w still tell how large they were.
            scale = max(scale, float(np.abs(expected.gradient["w"]).max()))
        one = compare_arrays(
            "meta-gradient", label, leaf, wanted, subject.dtype, subject.device, scale, limit
        )
        compared.append(one)
    return compared


def meta_gradient(subject: Subject) -> list[Comparison]:
    """The meta-objective and every leaf of its gradient are the oracle's."""
    compared = []
    for n_steps, batch in (
        (subject.case.n_steps, subject.batch),
        (1, subject.batch),
        (SHORT, subject.batch),
        (SHORT - 1, subject.batch.part([1, 4])),
        (LONGER, subject.other.part([0])),
    ):
        found = subject.meta_gradient(n_steps, *subject.handles(batch))
        compared += _compare_meta_gradients(subject, found, subject.spec, batch, n_steps)
    return compared


def meta_gradient_purity(subject: Subject) -> list[Comparison]:
    """A meta-gradient depends on its optimizer, problems and start, and on nothing before it."""
    handles = subject.handles()
    n_steps = subject.case.n_steps
    require_pure(
        "meta_gradient",
        lambda: flat(subject.meta_gradient(n_steps, *handles)),
        lambda: subject.meta_gradient(n_steps, *handles[:2], 2 * handles[2]),
    )
    compared = []
    for varied, found in interleaved(
        subject,
        "meta_gradient",
        Level.META_GRADIENT,
        lambda h: subject.meta_gradient(SHORT, *h),
    ):
        start = varied.batch.starting_at(varied.x0)
        compared += _compare_meta_gradients(subject, found, varied.spec, start, SHORT)
    return compared


def meta_gradient_by_differences(subject: Subject) -> list[Comparison]:
    """The meta-gradient is the slope of the implementation's own meta-objective."""
    require_float64(subject)
    n_steps = SHORT
    spec = subject.spec
    optimizer, problems, x0 = subject.handles()
    rng = np.random.Generator(np.random.Philox(key=5))
    direction = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}
    epsilon = 1e-6
    objectives = []
    for sign in (1, -1):
        moved = {k: v + sign * epsilon * direction[k] for k, v in spec.parameters.items()}
        one = subject.optimizer(spec.with_parameters(moved))
        objectives.append(np.mean(meta_objective(subject.unroll(n_steps, one, problems, x0).loss)))
    slope = (objectives[0] - objectives[1]) / (2 * epsilon)
    gradient = subject.meta_gradient(n_steps, optimizer, problems, x0).gradient
    found = sum(float(np.sum(gradient[k] * direction[k])) for k in direction)
    size = sum(float(np.sum(np.abs(gradient[k] * direction[k]))) for k in direction)
    error = abs(found - slope) / size
    limit = DIRECTIONAL_DIFFERENCE
    deviation = ""
    if not error <= limit:
        deviation = (
            f"along a random direction the meta-gradient is {found:.10g}, but the meta-objective "
            f"of the implementation's own runs changes by {slope:.10g} ± {size * limit:.1e}"
        )
    quantity = "meta-gradient along a direction"
    return [Comparison(quantity, np.array([error]), np.array([limit]), deviation)]
