"""Levels 2 to 5: whole runs, Jacobians, meta-gradients, outer steps."""

import dataclasses
import importlib
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from loptbench.agreement import (
    ORACLE,
    Comparison,
    compare_arrays,
    compare_trajectories,
)
from loptbench.conformance.step_checks import drawn, exact, other_spec, part_of, require_pure
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.mechanisms.linearization import central_differences
from loptbench.meta_config import MetaTraining
from loptbench.protocol import Linearization, OuterState
from loptbench.tasks import get_task
from loptbench.tolerances import CENTRAL_DIFFERENCE, DIRECTIONAL_DIFFERENCE
from loptbench.trajectory import meta_objective


def require_float64(subject: Subject) -> None:
    """Skip where rounding hides what the check looks for."""
    if subject.dtype != "float64":
        raise CheckSkippedError(f"compared in float64 only: {subject.dtype} rounds too coarsely")


def free_running(subject: Subject) -> list[Comparison]:
    """A whole run is the oracle's at every step, whatever its length and batch."""
    compared = []
    for n_steps in (subject.case.n_steps, 1, 3):
        found = subject.unroll(n_steps)
        compared += compare_trajectories(
            found, subject.spec, subject.batch, subject.dtype, subject.device
        )
    part = part_of(subject.batch, [2])
    found = subject.unroll(5, batch=part)
    return compared + compare_trajectories(found, subject.spec, part, subject.dtype, subject.device)


def native_unroll(subject: Subject) -> list[Comparison]:
    """The native unroll is the loop over the implementation's own level 1."""
    n_steps = subject.case.n_steps
    return compare_trajectories(
        subject.unroll(n_steps),
        subject.spec,
        subject.batch,
        subject.dtype,
        subject.device,
        expected=subject.loop(n_steps),
    )


def unroll_purity(subject: Subject) -> list[Comparison]:
    """A run depends on nothing that ran before it."""
    other = other_spec(subject.spec)
    part = part_of(subject.batch, [1])

    def disturb() -> None:
        subject.unroll(4, spec=other)
        subject.unroll(4, batch=part)

    require_pure("unroll", lambda: tuple(subject.unroll(4)), disturb)
    found = subject.unroll(4, spec=other)
    return compare_trajectories(found, other, subject.batch, subject.dtype, subject.device)


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
    reference = ORACLE.optimizer(subject.spec, "float64", subject.device)
    compared = []
    for n in (1, 24):
        state, gradient = drawn(subject, n)
        for g in (gradient, 0 * gradient):
            expected = reference.linearize(exact(state), exact(g))
            compared += _compare_linearizations(subject, optimizer.linearize(state, g), expected)
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
    expected, _ = central_differences(optimizer, state, gradient)
    compared = []
    for name, actual, wanted in zip("ABCD", found, expected, strict=True):
        one = compare_arrays(name, name, actual, wanted, "float64", subject.device)
        largest = float(one.error.max(initial=0.0))
        deviation = ""
        if largest > CENTRAL_DIFFERENCE:
            deviation = f"{name} is {largest:.1e} from the central differences of step itself"
        compared.append(
            dataclasses.replace(one, bound=CENTRAL_DIFFERENCE + 0 * one.bound, deviation=deviation)
        )
    return compared


def meta_gradient(subject: Subject) -> list[Comparison]:
    """The meta-objective and every leaf of its gradient are the oracle's."""
    compared = []
    for n_steps, batch in (
        (subject.case.n_steps, subject.batch),
        (2, subject.batch),
        (11, part_of(subject.batch, [1, 4])),
    ):
        found = subject.meta_gradient(n_steps, batch)
        expected = ORACLE.meta_gradient(
            ORACLE.optimizer(subject.spec, "float64", subject.device),
            ORACLE.problems(batch, "float64", subject.device),
            batch.initial_parameters,
            n_steps,
        )
        compared.append(
            compare_arrays(
                "meta-gradient",
                "meta-objective",
                found.objective,
                expected.objective,
                subject.dtype,
                subject.device,
            )
        )
        for name, wanted in expected.gradient.items():
            leaf = found.gradient[name]
            if np.any(wanted) and not np.any(leaf):
                raise CheckFailedError(f"the meta-gradient of {name} is zero, but should not be")
            label = f"meta-gradient of {name}"
            compared.append(
                compare_arrays("meta-gradient", label, leaf, wanted, subject.dtype, subject.device)
            )
    require_pure(
        "meta_gradient",
        lambda: tuple(subject.meta_gradient(3).gradient.values()),
        lambda: subject.meta_gradient(2),
    )
    return compared


def meta_gradient_by_differences(subject: Subject) -> list[Comparison]:
    """The meta-gradient is the slope of the implementation's own meta-objective."""
    require_float64(subject)
    n_steps = min(subject.case.n_steps, 40)
    spec = subject.spec
    rng = np.random.Generator(np.random.Philox(key=5))
    direction = {k: rng.standard_normal(v.shape) for k, v in sorted(spec.parameters.items())}
    epsilon = 1e-6
    objectives = []
    for sign in (1, -1):
        moved = {k: v + sign * epsilon * direction[k] for k, v in spec.parameters.items()}
        loss = subject.unroll(n_steps, spec=spec.with_parameters(moved)).loss
        objectives.append(np.mean(meta_objective(loss)))
    slope = (objectives[0] - objectives[1]) / (2 * epsilon)
    gradient = subject.meta_gradient(n_steps).gradient
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
    return [
        Comparison(
            "meta-gradient along a direction",
            np.array([error]),
            np.array([limit]),
            deviation,
        )
    ]


N_OUTER = 4


def _outer_problem(subject: Subject) -> tuple[Any, MetaTraining, list[Any]]:
    """An outer problem in which clipping, penalty, decay and epsilon all show."""
    task = get_task(subject.case.batch.task)
    batches = [
        task.sample("meta_train", subject.case.batch.seed, range(4 * i, 4 * i + 4))
        for i in range(N_OUTER)
    ]
    spec = subject.case.spec.rounded_to("float64")
    first = ORACLE.meta_gradient(
        ORACLE.optimizer(spec, "float64", subject.device),
        ORACLE.problems(batches[0], "float64", subject.device),
        batches[0].initial_parameters,
        12,
    )
    sizes = np.concatenate([np.abs(np.ravel(leaf)) for leaf in first.gradient.values()])
    typical = float(np.median(sizes))
    config = MetaTraining(
        task=task.name,
        n_units=max(1, spec.n_state),
        n_steps=12,
        batch_size=4,
        learning_rate=1e-3,
        decay=0.5,
        decay_steps=2,
        clip=2 * typical,
        epsilon=typical,
        penalty=typical,
        dtype=subject.dtype,  # type: ignore[arg-type]  # one of the two: declarations are held to it
    )
    return spec, config, batches


def outer_steps(subject: Subject) -> list[Comparison]:
    """The first outer steps are the oracle's: clipping, penalty, decay, Adam."""
    require_float64(subject)
    spec, config, batches = _outer_problem(subject)
    found, expected = subject.outer_init(spec, config), ORACLE.outer_init(spec.parameters, config)
    compared = []
    for batch in batches:
        found, objective = subject.outer_step(found, spec, batch, config)
        expected, wanted = ORACLE.outer_step(expected, spec, batch, config)
        compared.append(
            compare_arrays(
                "outer objective",
                "outer objective",
                np.array(objective),
                np.array(wanted),
                subject.dtype,
                subject.device,
            )
        )
        for name, parameter in expected.parameters.items():
            # What moved is compared, not what was there before: a step is small beside the weights.
            before = spec.parameters[name]
            compared.append(
                compare_arrays(
                    "outer parameters",
                    f"the outer steps' change of {name}",
                    found.parameters[name] - before,
                    exact(parameter - before),
                    subject.dtype,
                    subject.device,
                )
            )
    return compared


def outer_resuming(subject: Subject) -> list[Comparison]:
    """Stopping and resuming, in a new instance and from bytes, equals not stopping."""
    spec, config, batches = _outer_problem(subject)
    outer = subject.outer_init(spec, config)
    outer, _ = subject.outer_step(outer, spec, batches[0], config)
    on_disk = (save(dict(outer.parameters)), save(dict(outer.memory)))
    kept = OuterState(*(load(content) for content in on_disk)).canonical()
    straight = outer
    for batch in batches[1:3]:
        straight, _ = subject.outer_step(straight, spec, batch, config)
    resumed = kept
    again = dataclasses.replace(subject, implementation=_another(subject.implementation))
    for batch in batches[1:3]:
        resumed, _ = again.outer_step(resumed, spec, batch, config)
    for what in ("parameters", "memory"):
        for name, array in getattr(straight, what).items():
            if not np.array_equal(array, getattr(resumed, what)[name], equal_nan=True):
                raise CheckFailedError(
                    f"after resuming, {what} {name!r} is not what it is without stopping: "
                    "outer_step must carry all it remembers in the outer state"
                )
    return []


def _another(implementation: Any) -> Any:
    """A second instance of the same implementation, if its class can be called; else itself."""
    kind = type(implementation)
    module = importlib.import_module(kind.__module__)
    return kind() if getattr(module, kind.__qualname__, None) is kind else implementation
