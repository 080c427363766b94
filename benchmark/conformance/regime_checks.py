"""Checks of the regimes that occur in a benchmark: extreme gradients, divergence, every pair.

A number that is not finite is compared as such: whether a port reports an overflow as infinite or
as NaN depends on the order of its operations, and both are right. Hiding it is not.
"""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np

from loptbench.agreement.comparison import Comparison, compare
from loptbench.agreement.tolerances import bound
from loptbench.agreement.trajectories import above_underflow, compare_trajectories
from loptbench.conformance.cases import cases, default_kinds
from loptbench.conformance.messages import explained, step_experiment, vector
from loptbench.conformance.purity import SHORT_RUN
from loptbench.conformance.step_checks import compare_evaluation, to_float64
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError, CheckSkippedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec, composed
from loptbench.protocol import Array, Trajectory, UnrollsLosses
from loptbench.tasks.base import ProblemBatch

TINY_GRADIENT = {"float64": 1e-300, "float32": 1e-30}
"""A gradient whose square underflows, by dtype."""

HUGE_GRADIENTS = {"float64": (1e20, 1e150), "float32": (1e15,)}
"""Gradients whose squares are still finite, by dtype."""

SMALL_EPSILON = 1e-8
"""ε of the baselines in the benchmark, beside which the checks' own hides a division by zero."""


def extreme_gradients(subject: Subject) -> Iterator[Comparison]:
    """The first steps from a fresh state are right for gradients of 0, tiny, huge and infinite."""
    specs = [subject.spec]
    if "epsilon" in subject.spec.constants:
        constants = {**subject.spec.constants, "epsilon": SMALL_EPSILON}
        specs.append(dataclasses.replace(subject.spec, constants=constants))
    tiny = TINY_GRADIENT[subject.dtype]
    huge = HUGE_GRADIENTS[subject.dtype]
    sizes = [0.0, tiny, -tiny, 1e10, -1e10, *huge, -huge[0], np.inf, -np.inf, 0.5]
    gradient = subject.cast(np.array(sizes))
    for spec in specs:
        optimizer = subject.optimizer(spec)
        state = optimizer.initial_state(len(gradient))
        # The second step starts from what the first left behind, in the reverse order of sizes.
        for g in (gradient, gradient[::-1].copy(), 0 * np.nan_to_num(gradient)):
            with np.errstate(all="ignore"):
                actual = optimizer.step(state, g)
            yield from _compare_extreme_step(subject, spec, actual, state, g)
            state = actual[0]


def _compare_extreme_step(
    subject: Subject,
    spec: OptimizerSpec,
    actual: tuple[Array, Array],
    state: Array,
    gradient: Array,
) -> list[Comparison]:
    reference = oracle().optimizer(spec, "float64", subject.device)
    h, g = to_float64(state), to_float64(gradient)
    with np.errstate(all="ignore"):
        expected = reference.step(h, g)
        scales = reference.rounding_scale(h, g)
    comparisons = []
    for name, values, right, scale in zip(
        ("state", "update"), actual, expected, scales, strict=True
    ):
        # Above the largest number of the dtype, the oracle in float64 is still finite.
        overflows = ~(np.abs(right) <= np.finfo(subject.dtype).max)
        both = np.where(overflows & ~np.isfinite(values), 0, 1)
        limit = bound(name, subject.dtype, subject.device)
        comparisons.append(
            compare(
                name,
                np.where(both, values, np.nan),
                np.where(both, right, np.nan),
                above_underflow(scale, subject.dtype),
                limit,
                ("component", "unit"),
            )
        )
    return explained(comparisons, lambda i: step_experiment(state, gradient, i))


INFINITE, NOT_A_NUMBER, FAR = 1, 2, 4
"""The problems of a batch with one infinite parameter, with one that is NaN, and far away."""

SAME_GRADIENT = 1e-2
"""Relative difference of two gradients at the same parameters that rounding may leave far away."""

ORDINARY = [0, 3, 5]
"""The problems beside them."""


def diverging_start(subject: Subject) -> Array:
    """Initial parameters of the case's problems, of which some have diverged or will."""
    x = subject.cast(subject.batch.initial_parameters)
    x[INFINITE, -1] = np.inf
    x[NOT_A_NUMBER, -1] = np.nan
    x[FAR] *= 1e6
    return x


def divergence(subject: Subject) -> Iterator[Comparison]:
    """A problem that diverges is reported as diverged, and changes no other problem's run."""
    batch, x = subject.batch, diverging_start(subject)
    optimizer, problems, _ = subject.handles()
    finite = [*ORDINARY, FAR]
    with np.errstate(all="ignore"):
        loss, gradient = problems.loss_and_gradient(x, 0)
        run = subject.unroll(SHORT_RUN, optimizer, problems, x)
        # A loss from outside may be finite there: a sigmoid is, at infinity.
        oracles = oracle().problems(batch, "float64", "cpu").loss_and_gradient(x, 0)
    loss_diverges, gradient_diverges = (
        [row for row in (INFINITE, NOT_A_NUMBER) if not np.isfinite(part[row]).all()]
        for part in oracles
    )
    yield from _compare_rows(subject, (loss, gradient), batch, x, finite)
    _require_not_finite("loss_and_gradient's loss", loss[None], loss_diverges)
    for row in gradient_diverges:
        if np.isfinite(gradient[row]).all():
            raise CheckFailedError(
                f"problem {row} has a parameter of {x[row, -1]}, but loss_and_gradient returned a "
                "finite gradient"
            )
    yield from _compare_rows(subject, (run.loss[0], run.gradient[0]), batch, x, finite)
    yield from _compare_ordinary_runs(subject, run)
    _require_not_finite("unroll's loss", run.loss, loss_diverges)
    _require_not_finite("unroll's last parameter", run.parameters[:, :, -1])
    _require_own_evaluations(subject, run)
    if isinstance(subject.implementation, UnrollsLosses):
        with np.errstate(all="ignore"):
            losses = subject.unroll_losses(SHORT_RUN, optimizer, problems, x)
        yield from _compare_ordinary_runs(subject, run._replace(loss=losses), ("loss",))
        _require_not_finite("unroll_losses' loss", losses, loss_diverges)
        _require_same_finite("unroll_losses'", losses[:, FAR], run.loss[:, FAR], "unroll's")


def _compare_rows(
    subject: Subject, actual: tuple[Array, Array], batch: ProblemBatch, x: Array, rows: list[int]
) -> list[Comparison]:
    """Compare loss and gradient of some problems with the oracle's."""
    part = actual[0][rows], actual[1][rows]
    point = "where other problems of the batch diverge"
    return compare_evaluation(subject, part, batch.part(rows), x[rows], 0, point)


def _compare_ordinary_runs(
    subject: Subject, run: Trajectory, fields: tuple[str, ...] = Trajectory._fields
) -> list[Comparison]:
    *leading, n_parameters = run.parameters.shape
    n_state = run.state.shape[-1]
    state = run.state.reshape(*leading, n_parameters, n_state)[:, ORDINARY]
    ordinary = Trajectory(
        run.loss[:, ORDINARY],
        run.parameters[:, ORDINARY],
        run.gradient[:, ORDINARY],
        state.reshape(len(state), len(ORDINARY) * n_parameters, n_state),
        run.update[:, ORDINARY],
    )
    comparisons = compare_trajectories(
        oracle(),
        ordinary,
        subject.spec,
        subject.batch.part(ORDINARY),
        subject.dtype,
        subject.device,
        fields=fields,
    )
    words = f"of problems {ORDINARY}, in a batch in which the others diverge"
    return explained(comparisons, words)


def _require_not_finite(
    label: str, values: Array, rows: Collection[int] = (INFINITE, NOT_A_NUMBER)
) -> None:
    """Require that diverged problems have no finite value at any step, (n_steps, n_problems)."""
    for row, start in ((INFINITE, "infinite"), (NOT_A_NUMBER, "NaN")):
        if row not in rows:
            continue
        finite = np.flatnonzero(np.isfinite(values[:, row]))
        if finite.size:
            step = finite[0]
            raise CheckFailedError(
                f"step {step}, problem {row}: {label} is {values[step, row]}, but a parameter of "
                f"the problem is {start} from the start; it must not be finite"
            )


def _require_own_evaluations(subject: Subject, run: Trajectory) -> None:
    """Require of a diverging run that its losses overflow where the problem's own do."""
    problems = subject.problems()
    for k in range(len(run.loss)):
        with np.errstate(all="ignore"):
            loss, gradient = problems.loss_and_gradient(run.parameters[k], k)
            actual, right = run.gradient[k, FAR], gradient[FAR]
            size = np.abs(right).max()
            differs = np.isfinite(size) & ~(np.abs(actual - right) <= SAME_GRADIENT * size)
        if differs.any():
            raise CheckFailedError(
                f"step {k}, problem {FAR}, which starts far away: unroll's gradient is "
                f"{vector(actual)}, but loss_and_gradient's at the same parameters is "
                f"{vector(right)}"
            )
        own = loss[FAR : FAR + 1]
        _require_same_finite(
            f"step {k}: unroll's", run.loss[k, FAR : FAR + 1], own, "loss_and_gradient's"
        )


def _require_same_finite(label: str, actual: Array, expected: Array, source: str) -> None:
    differs = np.flatnonzero(np.isfinite(actual) != np.isfinite(expected))
    if differs.size:
        i = differs[0]
        raise CheckFailedError(
            f"problem {FAR}, which starts far away: {label} loss is {actual[i]}, but {source} at "
            f"the same parameters is {expected[i]} (entry {i})"
        )


def every_kind(subject: Subject) -> Iterator[Comparison]:
    """A short run of every optimizer kind on every task is the oracle's."""
    implementation = subject.implementation
    task, seed = subject.case.task.name, subject.batch.seed
    if task == next(iter(implementation.tasks)):
        raise CheckSkippedError(f"other checks run every kind on {task}")
    if subject.dtype != max(implementation.dtypes):
        raise CheckSkippedError(f"in {max(implementation.dtypes)} only")
    for kind in default_kinds(implementation):
        if kind == subject.spec.kind:
            continue
        own = cases(kind, task, seed, {})
        rate = 0.6 * subject.case.task.checks.rate
        spec = own[0].spec if own else composed(rate, (0.5, 0.8, 0.2), 0.5, 0.3, 0.9)
        case = dataclasses.replace(subject.case, spec=spec)
        other = dataclasses.replace(subject, case=case)
        run = other.unroll(N_STEPS, *other.handles())
        comparisons = compare_trajectories(
            oracle(), run, other.spec, other.batch, other.dtype, other.device
        )
        yield from explained(comparisons, f"in a run of {N_STEPS} steps of {kind}")


N_STEPS = 3
"""Inner steps of a run of another kind: its second update depends on the first."""
