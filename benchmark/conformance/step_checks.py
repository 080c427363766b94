"""Checks of level 1: single steps and single evaluations."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison, compare, compare_arrays
from loptbench.agreement.tolerances import bound
from loptbench.agreement.trajectories import AXES, above_underflow, oracle_run
from loptbench.conformance.cases import EXAMPLES, in_domain
from loptbench.conformance.hints import explain_arrays, explain_evaluation, explain_step
from loptbench.conformance.messages import explained, step_experiment, vector
from loptbench.conformance.purity import other_spec, require_independent_of_settings, require_pure
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
from loptbench.tasks.base import ProblemBatch

N_COMPONENTS = (1, 2, 33, 1100)
"""Numbers of components in a step."""

N_CALLS_BETWEEN = 300
"""Steps between two calls with equal arguments: they reveal a counter that changes the result."""


def random_inputs(subject: Subject, n_components: int) -> tuple[Array, Array]:
    """Random states and gradients.

    Some states are zero and some beyond the range of a tanh; gradients are zero, or from
    1e-12 to 1e6.

    Returns: states, (n_components, n_state), and gradients, (n_components,).
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([3, n_components], dtype=np.uint64)))
    state = rng.uniform(-1, 1, (n_components, subject.spec.n_state))
    state[::3] *= 3
    state[1::4] = 0
    state = in_domain(subject.spec.kind, state)
    gradient = rng.choice([-1.0, 1.0], n_components) * 10 ** rng.uniform(-12, 6, n_components)
    gradient[n_components // 2 :: 5] = rng.standard_normal(gradient[n_components // 2 :: 5].size)
    gradient[3::11] = 0.0
    return subject.cast(state), subject.cast(gradient)


def to_float64(array: Array) -> Any:
    """The same numbers in float64, the dtype of the oracle."""
    return np.asarray(array, np.float64)


def compare_steps(
    subject: Subject, actual: tuple[Array, Array], expected: Any, state: Array, gradient: Array
) -> list[Comparison]:
    """Compare one step of many components with the expected one."""
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    scales = reference.rounding_scale(to_float64(state), to_float64(gradient))
    comparisons = []
    for name, values, expected_values, scale in zip(
        ("state", "update"), actual, expected, scales, strict=True
    ):
        limit = bound(name, subject.dtype, subject.device)
        # The first axis is the component, not the step: each component has its own bound.
        axes = ("component", "unit")
        comparisons.append(compare(name, values, to_float64(expected_values), scale, limit, axes))
    limits = (
        bound("state", subject.dtype, subject.device),
        bound("update", subject.dtype, subject.device),
    )
    h, g = to_float64(state), to_float64(gradient)
    return explained(
        comparisons,
        lambda component: step_experiment(state, gradient, component),
        explain_step,
        subject.spec,
        h,
        g,
        actual,
        limits,
    )


def initial_state(subject: Subject) -> Iterator[Comparison]:
    """The initial state is the oracle's."""
    optimizer = subject.optimizer()
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    limit = bound("initial state", subject.dtype, subject.device)
    for n in N_COMPONENTS:
        actual, expected = optimizer.initial_state(n), reference.initial_state(n)
        compared = compare_arrays(
            "initial state", "initial state", actual, expected, subject.dtype, subject.device
        )
        yield from explained(
            [compared],
            f"of {n} components",
            explain_arrays,
            actual,
            expected,
            limit,
            ("component", "unit"),
        )


def one_step(subject: Subject) -> Iterator[Comparison]:
    """Two steps from random states with random gradients are the oracle's."""
    optimizer = subject.optimizer()
    reference = oracle().optimizer(subject.spec, "float64", subject.device)
    if subject.varies_sizes and subject.spec.kind in EXAMPLES:
        case = dataclasses.replace(subject.case, spec=_at_end_of_range(subject.spec))
        extreme = dataclasses.replace(subject, case=case)
        state, gradient = random_inputs(extreme, N_COMPONENTS[-1])
        slow = oracle().optimizer(extreme.spec, "float64", subject.device)
        expected = slow.step(to_float64(state), to_float64(gradient))
        actual = extreme.optimizer().step(state, gradient)
        yield from compare_steps(extreme, actual, expected, state, gradient)
    for n in N_COMPONENTS:
        state, gradient = random_inputs(subject, n)
        expected = reference.step(to_float64(state), to_float64(gradient))
        actual = optimizer.step(state, gradient)
        yield from compare_steps(subject, actual, expected, state, gradient)
        # The second step starts from the state after the first, which may be extreme.
        state, gradient = subject.cast(expected[0]), gradient[::-1].copy()
        expected = reference.step(to_float64(state), to_float64(gradient))
        actual = optimizer.step(state, gradient)
        yield from compare_steps(subject, actual, expected, state, gradient)


def _at_end_of_range(spec: OptimizerSpec) -> OptimizerSpec:
    """A hand-designed optimizer with a rate above 1, and decays of 0.9999, as the tuner draws."""
    extreme = {
        name: np.asarray(30.0 if name == "alpha" else 1 - 1e-4, array.dtype)
        for name, array in spec.parameters.items()
    }
    return spec.with_parameters(extreme)


def not_a_number(subject: Subject) -> list[Comparison]:
    """A gradient or a state of NaN gives an update of NaN, in its own component only."""
    optimizer = subject.optimizer()
    state, gradient = random_inputs(subject, 6)
    _, clean = optimizer.step(state, gradient)
    gradient[2] = np.nan
    _, update = optimizer.step(state, gradient)
    if not np.isnan(update[2]):
        raise CheckFailedError(f"a gradient of NaN gave an update of {update[2]}, not NaN")
    if np.isnan(np.delete(update, 2)).any() and not np.isnan(clean).any():
        raise CheckFailedError("a gradient of NaN in one component gave NaN in another")
    if subject.spec.n_state:
        state[1], gradient[2] = np.nan, 0.0
        new, update = optimizer.step(state, gradient)
        if not (np.isnan(new[1]).any() and np.isnan(update[1])):
            raise CheckFailedError(
                f"a state of NaN gave the new state {vector(new[1])} and an update of "
                f"{update[1]}, not NaN"
            )
    return []


def equivariance(subject: Subject) -> list[Comparison]:
    """Components are independent: permuted or alone, each takes the same step."""
    optimizer = subject.optimizer()
    state, gradient = random_inputs(subject, 12)
    new, update = optimizer.step(state, gradient)
    order = np.random.Generator(np.random.Philox(key=4)).permutation(gradient.size)
    comparisons = []
    for chosen in (order, np.array([5])):
        part = state[chosen], gradient[chosen]
        comparisons += compare_steps(
            subject, optimizer.step(*part), (new[chosen], update[chosen]), *part
        )
    return comparisons


def step_purity(subject: Subject) -> list[Comparison]:
    """A step depends on its arguments only."""
    optimizer = subject.optimizer()
    state, gradient = random_inputs(subject, 12)
    other_optimizer = subject.optimizer(other_spec(subject.spec))

    def disturb(n_calls: int) -> None:
        fresh = other_optimizer.initial_state(12)
        other_optimizer.step(fresh, gradient)
        for _ in range(n_calls):
            optimizer.step(fresh, 2 * gradient)

    require_pure("step", lambda: optimizer.step(state, gradient), lambda: disturb(N_CALLS_BETWEEN))
    # All those steps have been taken by now: a few show what they change in the initial state.
    require_pure("initial_state", lambda: (optimizer.initial_state(12),), lambda: disturb(3))
    require_independent_of_settings("step", lambda: optimizer.step(state, gradient))
    require_independent_of_settings("initial_state", lambda: (optimizer.initial_state(12),))
    # An optimizer that is made second must not have the parameters of the first.
    expected = (
        oracle()
        .optimizer(other_spec(subject.spec), "float64", subject.device)
        .step(to_float64(state), to_float64(gradient))
    )
    return compare_steps(subject, other_optimizer.step(state, gradient), expected, state, gradient)


def compare_evaluation(
    subject: Subject,
    actual: tuple[Array, Array],
    batch: ProblemBatch,
    x: Array,
    k: int,
    point: str = "at the initial parameters",
) -> list[Comparison]:
    """Compare loss and gradient at parameters `x` in step `k` with the oracle's.

    Args:
        subject: the implementation under test.
        actual: what it returned.
        batch: the problems.
        x: the parameters, (n_problems, n_parameters).
        k: the inner step.
        point: where the parameters are, in words.
    """
    reference = oracle().problems(batch, "float64", subject.device)
    expected = reference.loss_and_gradient(to_float64(x), k)
    scales = reference.rounding_scale(to_float64(x), k)
    comparisons = []
    for name, values, expected_values, scale in zip(
        ("loss", "gradient"), actual, expected, scales, strict=True
    ):
        limit = bound(name, subject.dtype, subject.device)
        scale = above_underflow(scale, subject.dtype)
        comparisons.append(
            compare(name, values, expected_values, scale, limit, ("problem", "parameter"))
        )
    limits = (
        bound("loss", subject.dtype, subject.device),
        bound("gradient", subject.dtype, subject.device),
    )
    return explained(
        comparisons,
        lambda problem: f"in step {k} {point}, x = {vector(x[problem])}",
        lambda: explain_evaluation(batch, to_float64(x), k, actual, limits),
    )


def loss_and_gradient(subject: Subject) -> Iterator[Comparison]:
    """Loss and gradient are the oracle's at the start, far away, and near the minimum."""
    batch = subject.batch
    problems = subject.problems()
    end = oracle_run(oracle(), subject.spec, batch, subject.case.n_steps).parameters[-1]
    far = 100 * batch.initial_parameters
    for x, point in (
        (batch.initial_parameters, "at the initial parameters"),
        (far, "at 100 times the initial parameters"),
        (end, "at the end of a run of the oracle"),
        (subject.case.near_minimum, "near the minimum"),
    ):
        cast = subject.cast(x)
        for k in (0, subject.case.n_steps - 1, 10 * subject.case.n_steps):
            actual = problems.loss_and_gradient(cast, k)
            yield from compare_evaluation(subject, actual, batch, cast, k, point)
    # Problems are independent, and a batch that is made second must not be the first.
    for part, words in (
        (batch.part([3]), "of problem 3 alone"),
        (batch.part([4, 1]), "of problems 4 and 1 alone"),
        (subject.resized, "of problems of another size"),
        (subject.full, "of problems of the default size"),
    ):
        x = subject.cast(part.initial_parameters)
        actual = subject.problems(part).loss_and_gradient(x, 0)
        yield from compare_evaluation(
            subject, actual, part, x, 0, f"at the initial parameters {words}"
        )
    start = subject.cast(batch.initial_parameters)
    require_pure(
        "loss_and_gradient",
        lambda: problems.loss_and_gradient(start, 0),
        lambda: problems.loss_and_gradient(2 * start, 1),
    )
    require_independent_of_settings(
        "loss_and_gradient", lambda: problems.loss_and_gradient(start, 0)
    )


def teacher_forced(subject: Subject) -> list[Comparison]:
    """From the oracle's state at each step, the implementation takes the oracle's next step."""
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
        expected_loss, expected_gradient = oracle_problems.loss_and_gradient(to_float64(x), k)
        loss_scale, gradient_scale = oracle_problems.rounding_scale(to_float64(x), k)
        new, update = optimizer.step(h, g.reshape(-1))
        expected_new, expected_update = reference.step(to_float64(h), to_float64(g).reshape(-1))
        state_scale, update_scale = reference.rounding_scale(
            to_float64(h), to_float64(g).reshape(-1)
        )
        update, expected_update, update_scale = (
            array.reshape(x.shape) for array in (update, expected_update, update_scale)
        )
        rows.append(
            [
                (loss, expected_loss, loss_scale),
                (gradient, expected_gradient, gradient_scale),
                (new, expected_new, state_scale),
                (update, expected_update, update_scale),
                (x + update, to_float64(x) + expected_update, np.abs(to_float64(x)) + update_scale),
            ]
        )
    comparisons = []
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        values, expected, scale = (np.stack(part) for part in zip(*column, strict=True))
        limit = bound(name, subject.dtype, subject.device)
        scale = above_underflow(scale, subject.dtype)
        comparisons.append(compare(name, values, expected, scale, limit, AXES[name]))
    failed = [comparison.first_exceeded for comparison in comparisons if not comparison.ok]
    first = min(failed, default=0)
    limits = {name: bound(name, subject.dtype, subject.device) for name in names}

    def hint() -> str:
        (loss, *_), (gradient, *_), (new, *_), (update, *_), _ = rows[first]
        x, h, g = (
            to_float64(subject.cast(a[first])) for a in (run.parameters, run.state, run.gradient)
        )
        of_task = limits["loss"], limits["gradient"]
        of_step = limits["state"], limits["update"]
        return explain_evaluation(batch, x, first, (loss, gradient), of_task) or explain_step(
            spec, h, g.reshape(-1), (new, update.reshape(-1)), of_step
        )

    return explained(comparisons, lambda k: f"from the oracle's own state at step {k}", hint)
