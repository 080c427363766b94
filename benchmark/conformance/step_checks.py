"""Level 1: single steps and single evaluations."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from loptbench.agreement import AXES, ORACLE, Comparison, compare, compare_arrays, oracle_run
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
from loptbench.tasks.base import ProblemBatch
from loptbench.tolerances import bound

SIZES = (1, 7, 320)


def drawn(subject: Subject, n_components: int) -> tuple[Array, Array]:
    """States and gradients: from tiny to huge gradients of both signs, and zero."""
    rng = np.random.Generator(np.random.Philox(key=np.array([3, n_components], dtype=np.uint64)))
    state = rng.uniform(-1, 1, (n_components, subject.spec.n_state))
    gradient = rng.choice([-1.0, 1.0], n_components) * 10 ** rng.uniform(-8, 4, n_components)
    gradient[n_components // 2 :: 5] = rng.standard_normal(gradient[n_components // 2 :: 5].size)
    gradient[3::11] = 0.0
    return subject.cast(state), subject.cast(gradient)


def exact(array: Array) -> Any:
    """The same numbers in float64, for the oracle."""
    return np.asarray(array, np.float64)


def compare_steps(
    subject: Subject, actual: tuple[Array, Array], expected: Any, state: Array, gradient: Array
) -> list[Comparison]:
    """Compare one step of many components with what it should be."""
    reference = ORACLE.optimizer(subject.spec, "float64", subject.device)
    sizes = reference.magnitude(exact(state), exact(gradient))
    compared = []
    for name, found, wanted, size in zip(("state", "update"), actual, expected, sizes, strict=True):
        limit = bound(name, subject.dtype, subject.device)
        # Components take the place of steps: each is held to the bound by itself.
        names = ("component", "unit")
        compared.append(compare(name, found, exact(wanted), size, limit, names))
    return compared


def initial_state(subject: Subject) -> list[Comparison]:
    """The initial state is the oracle's."""
    optimizer = subject.optimizer()
    reference = ORACLE.optimizer(subject.spec, "float64", subject.device)
    return [
        compare_arrays(
            "initial state",
            "initial state",
            optimizer.initial_state(n),
            reference.initial_state(n),
            subject.dtype,
            subject.device,
        )
        for n in SIZES
    ]


def one_step(subject: Subject) -> list[Comparison]:
    """One step from drawn states with drawn gradients is the oracle's."""
    optimizer = subject.optimizer()
    reference = ORACLE.optimizer(subject.spec, "float64", subject.device)
    compared = []
    for n in SIZES:
        state, gradient = drawn(subject, n)
        expected = reference.step(exact(state), exact(gradient))
        actual = optimizer.step(state, gradient)
        compared += compare_steps(subject, actual, expected, state, gradient)
    return compared


def equivariance(subject: Subject) -> list[Comparison]:
    """Components do not see each other: permuted or alone, each takes the same step."""
    optimizer = subject.optimizer()
    state, gradient = drawn(subject, 12)
    new, update = optimizer.step(state, gradient)
    order = np.random.Generator(np.random.Philox(key=4)).permutation(gradient.size)
    compared = []
    for chosen in (order, np.array([5])):
        part = state[chosen], gradient[chosen]
        compared += compare_steps(
            subject, optimizer.step(*part), (new[chosen], update[chosen]), *part
        )
    return compared


def require_pure(
    what: str, call: Callable[[], tuple[Any, ...]], disturb: Callable[[], object]
) -> None:
    """Hold a call to the same bits each time, whatever was called in between.

    Args:
        what: the call's name, for messages.
        call: the call.
        disturb: other calls to the same implementation, with other arguments.
    """
    first = call()
    before = copy.deepcopy(first)
    disturb()
    second = call()
    for kept, now, again in zip(before, first, second, strict=True):
        if not np.array_equal(kept, now, equal_nan=True):
            raise CheckFailedError(f"the arrays that {what} returned were changed by a later call")
        if not np.array_equal(now, again, equal_nan=True):
            largest = np.max(np.abs(np.asarray(now, float) - np.asarray(again, float)))
            raise CheckFailedError(
                f"{what} returned something else for the same arguments: {largest:.1e} apart; "
                "it must remember nothing and draw nothing"
            )


def other_spec(spec: OptimizerSpec) -> OptimizerSpec:
    """An optimizer of the same kind and size with other parameters and constants."""
    return dataclasses.replace(
        spec,
        parameters={name: 0.5 * array for name, array in spec.parameters.items()},
        constants={name: 0.5 * value for name, value in spec.constants.items()},
    )


def step_purity(subject: Subject) -> list[Comparison]:
    """A step depends on nothing but what it is handed."""
    optimizer = subject.optimizer()
    state, gradient = drawn(subject, 12)
    elsewhere = subject.optimizer(other_spec(subject.spec))

    def disturb() -> None:
        fresh = elsewhere.initial_state(12)
        elsewhere.step(fresh, gradient)
        optimizer.step(fresh, 2 * gradient)

    require_pure("step", lambda: optimizer.step(state, gradient), disturb)
    require_pure("initial_state", lambda: (optimizer.initial_state(12),), disturb)
    # A second optimizer of the same kind is another optimizer.
    expected = ORACLE.optimizer(other_spec(subject.spec), "float64", subject.device).step(
        exact(state), exact(gradient)
    )
    return compare_steps(subject, elsewhere.step(state, gradient), expected, state, gradient)


def part_of(batch: ProblemBatch, chosen: list[int]) -> ProblemBatch:
    """Some of the problems of a batch."""
    return dataclasses.replace(
        batch,
        initial_parameters=batch.initial_parameters[chosen],
        arrays={name: array[chosen] for name, array in batch.arrays.items()},
        indices=tuple(batch.indices[i] for i in chosen),
    )


def compare_evaluation(
    subject: Subject, actual: tuple[Array, Array], batch: ProblemBatch, x: Array, k: int
) -> list[Comparison]:
    """Compare loss and gradient with the oracle's."""
    reference = ORACLE.problems(batch, "float64", subject.device)
    expected = reference.loss_and_gradient(exact(x), k)
    sizes = reference.magnitude(exact(x), k)
    compared = []
    for name, found, wanted, size in zip(
        ("loss", "gradient"), actual, expected, sizes, strict=True
    ):
        limit = bound(name, subject.dtype, subject.device)
        compared.append(compare(name, found, wanted, size, limit, ("problem", "parameter")))
    return compared


def loss_and_gradient(subject: Subject) -> list[Comparison]:
    """Loss and gradient are the oracle's: at the start, far out, and where a run ends."""
    batch = subject.batch
    problems = subject.problems()
    end = oracle_run(subject.spec, batch, subject.case.n_steps).parameters[-1]
    compared = []
    for x in (batch.initial_parameters, 100 * batch.initial_parameters, end):
        cast = subject.cast(x)
        for k in (0, subject.case.n_steps - 1):
            actual = problems.loss_and_gradient(cast, k)
            compared += compare_evaluation(subject, actual, batch, cast, k)
    # Problems do not see each other, and a second batch is another batch.
    for chosen in ([3], [4, 1]):
        part = part_of(batch, chosen)
        x = subject.cast(part.initial_parameters)
        actual = subject.problems(part).loss_and_gradient(x, 0)
        compared += compare_evaluation(subject, actual, part, x, 0)
    start = subject.cast(batch.initial_parameters)
    require_pure(
        "loss_and_gradient",
        lambda: problems.loss_and_gradient(start, 0),
        lambda: problems.loss_and_gradient(2 * start, 1),
    )
    return compared


def teacher_forced(subject: Subject) -> list[Comparison]:
    """From the oracle's state at every step, the implementation makes the oracle's next step."""
    batch, spec = subject.batch, subject.spec
    run = oracle_run(spec, batch, subject.case.n_steps)
    optimizer, problems = subject.optimizer(), subject.problems()
    reference = ORACLE.optimizer(spec, "float64", subject.device)
    oracle_problems = ORACLE.problems(batch, "float64", subject.device)
    names = ("loss", "gradient", "state", "update", "parameters")
    rows: list[list[tuple[Any, Any, Any]]] = []
    for k in range(subject.case.n_steps):
        x, g = subject.cast(run.parameters[k]), subject.cast(run.gradient[k])
        h = subject.cast(run.state[k])
        loss, gradient = problems.loss_and_gradient(x, k)
        right_loss, right_gradient = oracle_problems.loss_and_gradient(exact(x), k)
        loss_size, gradient_size = oracle_problems.magnitude(exact(x), k)
        new, update = optimizer.step(h, g.reshape(-1))
        right_new, right_update = reference.step(exact(h), exact(g).reshape(-1))
        state_size, update_size = reference.magnitude(exact(h), exact(g).reshape(-1))
        update, right_update, update_size = (
            flat.reshape(x.shape) for flat in (update, right_update, update_size)
        )
        rows.append(
            [
                (loss, right_loss, loss_size),
                (gradient, right_gradient, gradient_size),
                (new, right_new, state_size),
                (update, right_update, update_size),
                (x + update, exact(x) + right_update, np.abs(exact(x)) + update_size),
            ]
        )
    compared = []
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        found, right, size = (np.stack(part) for part in zip(*column, strict=True))
        limit = bound(name, subject.dtype, subject.device)
        compared.append(compare(name, found, right, size, limit, AXES[name]))
    return compared
