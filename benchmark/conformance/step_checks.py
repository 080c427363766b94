"""Level 1: single steps and single evaluations."""

from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison, compare, compare_arrays
from loptbench.agreement.tolerances import bound
from loptbench.agreement.trajectories import AXES, above_underflow, oracle_run
from loptbench.conformance.cases import in_domain
from loptbench.conformance.purity import other_spec, require_pure
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.discovery import oracle
from loptbench.protocol import Array
from loptbench.tasks.base import ProblemBatch

SIZES = (1, 2, 33, 1100)
MANY_CALLS = 300


def drawn(subject: Subject, n_components: int) -> tuple[Array, Array]:
    """States, some beyond the range of a GRU's units, and gradients, tiny to huge, and zero."""
    rng = np.random.Generator(np.random.Philox(key=np.array([3, n_components], dtype=np.uint64)))
    state = rng.uniform(-1, 1, (n_components, subject.spec.n_state))
    state[::3] *= 3
    state[1::4] = 0
    state = in_domain(subject.spec.kind, state)
    gradient = rng.choice([-1.0, 1.0], n_components) * 10 ** rng.uniform(-12, 6, n_components)
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
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    sizes = reference.rounding_scale(exact(state), exact(gradient))
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
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
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
    """Two steps from drawn states with drawn gradients are the oracle's."""
    optimizer = subject.optimizer()
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    compared = []
    for n in SIZES:
        state, gradient = drawn(subject, n)
        expected = reference.step(exact(state), exact(gradient))
        actual = optimizer.step(state, gradient)
        compared += compare_steps(subject, actual, expected, state, gradient)
        # The second step is from wherever the first has led, which may be far out.
        state, gradient = subject.cast(expected[0]), gradient[::-1].copy()
        expected = reference.step(exact(state), exact(gradient))
        actual = optimizer.step(state, gradient)
        compared += compare_steps(subject, actual, expected, state, gradient)
    return compared


def not_a_number(subject: Subject) -> list[Comparison]:
    """A gradient that is not a number gives an update that is not, for its component only."""
    optimizer = subject.optimizer()
    state, gradient = drawn(subject, 6)
    _, clean = optimizer.step(state, gradient)
    gradient[2] = np.nan
    _, update = optimizer.step(state, gradient)
    if not np.isnan(update[2]):
        raise CheckFailedError(f"a gradient of NaN gave an update of {update[2]}, not NaN")
    if np.isnan(np.delete(update, 2)).any() and not np.isnan(clean).any():
        raise CheckFailedError("a gradient of NaN in one component gave NaN in another")
    return []


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


def step_purity(subject: Subject) -> list[Comparison]:
    """A step depends on nothing but what it is handed."""
    optimizer = subject.optimizer()
    state, gradient = drawn(subject, 12)
    elsewhere = subject.optimizer(other_spec(subject.spec))

    def disturb() -> None:
        fresh = elsewhere.initial_state(12)
        elsewhere.step(fresh, gradient)
        for _ in range(MANY_CALLS):
            optimizer.step(fresh, 2 * gradient)

    require_pure("step", lambda: optimizer.step(state, gradient), disturb)
    require_pure("initial_state", lambda: (optimizer.initial_state(12),), disturb)
    # A second optimizer of the same kind is another optimizer.
    expected = (
        oracle()
        .optimizer(other_spec(subject.spec), "float64", subject.device)
        .step(exact(state), exact(gradient))
    )
    return compare_steps(subject, elsewhere.step(state, gradient), expected, state, gradient)


def compare_evaluation(
    subject: Subject, actual: tuple[Array, Array], batch: ProblemBatch, x: Array, k: int
) -> list[Comparison]:
    """Compare loss and gradient with the oracle's."""
    reference = oracle().problems(batch, "float64", subject.device)
    expected = reference.loss_and_gradient(exact(x), k)
    sizes = reference.rounding_scale(exact(x), k)
    compared = []
    for name, found, wanted, size in zip(
        ("loss", "gradient"), actual, expected, sizes, strict=True
    ):
        limit = bound(name, subject.dtype, subject.device)
        size = above_underflow(size, subject.dtype)
        compared.append(compare(name, found, wanted, size, limit, ("problem", "parameter")))
    return compared


def loss_and_gradient(subject: Subject) -> list[Comparison]:
    """Loss and gradient are the oracle's: at the start, far out, and near the minimum."""
    batch = subject.batch
    problems = subject.problems()
    end = oracle_run(oracle(), subject.spec, batch, subject.case.n_steps).parameters[-1]
    compared = []
    far = 100 * batch.initial_parameters
    for x in (batch.initial_parameters, far, end, subject.case.near_minimum):
        cast = subject.cast(x)
        for k in (0, subject.case.n_steps - 1, 10 * subject.case.n_steps):
            actual = problems.loss_and_gradient(cast, k)
            compared += compare_evaluation(subject, actual, batch, cast, k)
    # Problems do not see each other, and a second batch is another batch.
    for part in (batch.part([3]), batch.part([4, 1]), subject.other, subject.full):
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
    batch, spec = subject.full, subject.spec
    run = oracle_run(oracle(), spec, batch, subject.case.n_steps)
    optimizer, problems = subject.optimizer(), subject.problems(batch)
    reference = oracle().optimizer(spec, "float64", subject.device)
    oracle_problems = oracle().problems(batch, "float64", subject.device)
    names = ("loss", "gradient", "state", "update", "parameters")
    rows: list[list[tuple[Any, Any, Any]]] = []
    for k in range(subject.case.n_steps):
        x, g = subject.cast(run.parameters[k]), subject.cast(run.gradient[k])
        h = subject.cast(run.state[k])
        loss, gradient = problems.loss_and_gradient(x, k)
        right_loss, right_gradient = oracle_problems.loss_and_gradient(exact(x), k)
        loss_size, gradient_size = oracle_problems.rounding_scale(exact(x), k)
        new, update = optimizer.step(h, g.reshape(-1))
        right_new, right_update = reference.step(exact(h), exact(g).reshape(-1))
        state_size, update_size = reference.rounding_scale(exact(h), exact(g).reshape(-1))
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
        size = above_underflow(size, subject.dtype)
        compared.append(compare(name, found, right, size, limit, AXES[name]))
    return compared
