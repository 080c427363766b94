"""Checks at the sizes of the benchmark: 128 problems, 127,232 components, 256 units.

At such a size every number is compared, but the oracle computes few: a large batch repeats a few
problems, or a few states and gradients, in a drawn order. Whatever an implementation drops, repeats
or mixes up then stands where another number should be.

Each size of the benchmark is used as it is, and once more as a drawn number slightly above, because
code that works in blocks of a power of two fails only where a rest is left.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison, compare, compare_arrays
from loptbench.agreement.tolerances import bound, meta_gradient_bound, summation_bound
from loptbench.agreement.trajectories import (
    compare_trajectories,
    measured_run,
    oracle_meta_gradient,
    oracle_run,
)
from loptbench.conformance.cases import main_architecture, random_case
from loptbench.conformance.step_checks import (
    compare_evaluation,
    random_inputs,
    to_float64,
)
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckSkippedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec, random
from loptbench.protocol import UnrollsLosses
from loptbench.tasks import Digits, ProblemBatch, get_task
from loptbench.tasks.digits import Images

N_PROBLEMS = 128
"""Problems of an evaluation."""

N_COMPONENTS = 127_232
"""Components of 128 problems of the task `digits`, whose network has 994 parameters."""

N_WIDE_COMPONENTS = 15_904
"""Components of the 16 such problems that an evaluation of 256 units holds in memory at a time."""

N_UNITS = 256
"""Units of a learned optimizer of the preset `paper`."""

N_STEPS = 4
"""Inner steps of a run at full size. With two, no second derivative of the loss is in the
meta-gradient, and the bias corrections of Adam's first step cancel."""

N_DISTINCT_PROBLEMS = 12
N_DISTINCT_COMPONENTS = 1009

FEW_UNITS = 16
"""Most state variables with which a step of all components takes a moment."""

MAX_COMPARED_NUMBERS = 2**21
"""Largest number of states that are compared at a time; it bounds the memory."""

SMALL_PROBLEM = 10
"""Most parameters of a problem with which a run of 256 units on 128 problems takes a moment."""


def drawn_size(seed: int, purpose: str, low: int, high: int) -> int:
    """A random size from `low` to `high`, both included; the same for the same seed and purpose.

    >>> drawn_size(7, "units", 5, 5)
    5
    """
    return int(_generator(seed, purpose).integers(low, high + 1))


def _generator(seed: int, purpose: str) -> np.random.Generator:
    key = np.array([seed, int.from_bytes(purpose.encode()[:8].ljust(8), "little")], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def repeated(n_distinct: int, n: int, seed: int) -> NDArray[np.int64]:
    """Numbers from 0 to `n_distinct` − 1 in a drawn order, each about equally often, (n,)."""
    return _generator(seed, "order").permutation(np.arange(n) % n_distinct)


def full_size_step(subject: Subject) -> list[Comparison]:
    """A step of 127,232 components, and one of 256 units, is the oracle's in every component."""
    seed, spec = subject.case.batch.seed, subject.spec
    some = drawn_size(seed, "some", 1500, 3000)
    more = N_COMPONENTS + drawn_size(seed, "components", 1, 2000)
    sizes = [(spec, n) for n in ((N_COMPONENTS, more) if spec.n_state <= FEW_UNITS else (some,))]
    main = main_architecture(subject.implementation.optimizers)
    if subject.case.label == f"random {main}":
        n_units = drawn_size(seed, "units", N_UNITS + 1, N_UNITS + 40)
        wide, wider = (
            random(spec.kind, n, seed, input_scale=0.7, output_scale=0.3).rounded_to(subject.dtype)
            for n in (N_UNITS, n_units)
        )
        sizes += [(wide, some), (wider, some)]
        if subject.dtype == min(subject.implementation.dtypes):  # float32 takes half the time
            sizes.append((wide, N_WIDE_COMPONENTS))
    return [comparison for size in sizes for comparison in _compare_full_step(subject, *size)]


def _compare_full_step(subject: Subject, spec: OptimizerSpec, n: int) -> list[Comparison]:
    """Compare the update of every component, and the states of as many as fit into memory."""
    case = dataclasses.replace(subject.case, spec=spec)
    sized = dataclasses.replace(subject, case=case)
    state, gradient = random_inputs(sized, min(n, N_DISTINCT_COMPONENTS))
    positions = repeated(len(gradient), n, subject.case.batch.seed)
    reference = oracle().optimizer(spec, "float64", subject.device)
    new_state, update = reference.step(to_float64(state), to_float64(gradient))
    actual = sized.optimizer().step(state[positions], gradient[positions])
    every = max(1, n * spec.n_state // MAX_COMPARED_NUMBERS)
    kept = np.arange(n)[::every]
    scales = reference.rounding_scale(to_float64(state), to_float64(gradient))
    limits = [bound(name, subject.dtype, subject.device) for name in ("state", "update")]
    axes = ("component", "unit")
    return [
        compare(
            "state",
            actual[0][kept],
            new_state[positions[kept]],
            scales[0][positions[kept]],
            limits[0],
            axes if every == 1 else (f"component {every} ·", "unit"),
        ),
        compare("update", actual[1], update[positions], scales[1][positions], limits[1], axes),
    ]


class FullBatch(NamedTuple):
    """A full-size batch that consists of a few problems.

    Attributes:
        distinct: the problems, each once.
        positions: the problem that each problem of the full batch equals, (n_problems,).
        batch: the full batch.
    """

    distinct: ProblemBatch
    positions: NDArray[np.int64]
    batch: ProblemBatch


def full_batch(subject: Subject, n_problems: int) -> FullBatch:
    """A batch of the case's task at its default size."""
    seed = subject.case.batch.seed
    task = get_task(subject.case.task.name)
    distinct = task.sample("evaluate", seed, range(N_DISTINCT_PROBLEMS)).rounded_to(subject.dtype)
    positions = repeated(N_DISTINCT_PROBLEMS, n_problems, seed)
    return FullBatch(distinct, positions, distinct.part(positions.tolist()))


def full_optimizer(subject: Subject) -> Subject:
    """The subject with a learned optimizer, of 256 units where a problem has few parameters.

    The optimizer is the case's where the implementation has no learned ones.
    """
    architecture = main_architecture(subject.implementation.optimizers)
    if architecture is None:
        return subject
    seed, task = subject.case.batch.seed, get_task(subject.case.task.name)
    small = task.n_parameters <= SMALL_PROBLEM
    n_units = N_UNITS if small else drawn_size(seed, "units", 5, 11)
    spec = random_case(architecture, n_units, task.name, seed)
    return dataclasses.replace(subject, case=dataclasses.replace(subject.case, spec=spec))


def above_full_size(subject: Subject) -> int:
    """A drawn number of problems, slightly more than those of an evaluation."""
    return drawn_size(subject.case.batch.seed, "problems", N_PROBLEMS + 1, N_PROBLEMS + 30)


def require_coarsest(subject: Subject) -> None:
    """Skip all dtypes but one on large problems: float32 takes half the time."""
    is_small = get_task(subject.case.task.name).n_parameters <= SMALL_PROBLEM
    if not is_small and subject.dtype != min(subject.implementation.dtypes):
        raise CheckSkippedError(f"at full size in {min(subject.implementation.dtypes)} only")


def full_size_evaluation(subject: Subject) -> list[Comparison]:
    """Loss and gradient of 128 problems, and of images of 28×28 pixels in 255 greys, are right."""
    _, _, batch = full_batch(subject, N_PROBLEMS)
    x = subject.cast(batch.initial_parameters)
    actual = subject.problems(batch).loss_and_gradient(x, 1)
    comparisons = compare_evaluation(subject, actual, batch, x, 1)
    if subject.case.task.name == "digits":
        comparisons += _compare_large_images(subject)
    return comparisons


def _compare_large_images(subject: Subject) -> list[Comparison]:
    seed = subject.case.batch.seed
    rng = _generator(seed, "pixels")
    pixels = rng.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    pixels[rng.random(pixels.shape) < 0.5] = 0  # the paper of a digit is black
    labels = rng.integers(0, 10, len(pixels), dtype=np.int32)
    task = Digits(n_steps=3, images=Images(pixels, labels, 255, "drawn images"))
    batch = task.sample("evaluate", seed, range(9)).rounded_to(subject.dtype)
    x = subject.cast(batch.initial_parameters)
    actual = subject.problems(batch).loss_and_gradient(x, 2)
    return compare_evaluation(subject, actual, batch, x, 2)


def full_size_run(subject: Subject) -> list[Comparison]:
    """A run on more than 128 problems of the default size is the oracle's for every problem."""
    require_coarsest(subject)
    subject = full_optimizer(subject)
    distinct, positions, batch = full_batch(subject, above_full_size(subject))
    actual = subject.unroll(N_STEPS, *subject.handles(batch))
    return compare_trajectories(
        oracle(),
        actual,
        subject.spec,
        distinct,
        subject.dtype,
        subject.device,
        positions=positions,
    )


def full_size_losses(subject: Subject) -> list[Comparison]:
    """A run of losses only, on 128 problems of the default size, has those of the oracle."""
    if not isinstance(subject.implementation, UnrollsLosses):
        raise CheckSkippedError(
            "runs that record losses only are not offered: no method unroll_losses"
        )
    require_coarsest(subject)
    subject = full_optimizer(subject)
    distinct, positions, batch = full_batch(subject, N_PROBLEMS)
    loss = subject.unroll_losses(N_STEPS, *subject.handles(batch))
    return compare_trajectories(
        oracle(),
        oracle_run(oracle(), subject.spec, distinct, N_STEPS)._replace(loss=loss),
        subject.spec,
        distinct,
        subject.dtype,
        subject.device,
        fields=("loss",),
        positions=positions,
    )


def full_size_meta_gradient(subject: Subject) -> list[Comparison]:
    """The meta-gradient of 128 problems of the default size is the oracle's.

    The gradient of the mean over problems is the mean of each problem's own.
    """
    is_small = get_task(subject.case.task.name).n_parameters <= SMALL_PROBLEM
    if not is_small and subject.dtype != max(subject.implementation.dtypes):
        # Sums of 127,232 terms.
        raise CheckSkippedError(f"at full size in {max(subject.implementation.dtypes)} only")
    subject = full_optimizer(subject)
    spec = subject.spec
    distinct, positions, batch = full_batch(subject, N_PROBLEMS)
    actual = subject.meta_gradient(N_STEPS, *subject.handles(batch))
    alone = [
        oracle_meta_gradient(oracle(), spec, problem, N_STEPS)
        for problem in (distinct.part([i]) for i in range(distinct.n_problems))
    ]
    weights = np.bincount(positions, minlength=distinct.n_problems) / len(positions)
    amplification = measured_run(oracle(), spec, distinct, N_STEPS).amplification.parameters.max()
    limit = meta_gradient_bound(float(amplification), N_STEPS, subject.dtype, subject.device)
    limit = max(limit, summation_bound(batch.initial_parameters.size, subject.dtype))
    objective = np.concatenate([of_problem.objective for of_problem in alone])[positions]
    comparisons = [
        compare_arrays(
            "meta-gradient",
            "meta-objective",
            actual.objective,
            objective,
            subject.dtype,
            subject.device,
            limit=bound("outer objective", subject.dtype, subject.device),
        )
    ]
    stacked = {
        name: np.stack([of_problem.gradient[name] for of_problem in alone])
        for name in actual.gradient
    }
    for name, values in actual.gradient.items():
        rows = stacked[name]
        # Where the terms of b's gradient cancel, the entries of w's still show their size.
        scales = [rows, stacked["w"]] if name == "b" and "w" in stacked else [rows]
        comparisons.append(
            compare_arrays(
                "meta-gradient",
                f"meta-gradient of {name}",
                values,
                np.asarray(np.tensordot(weights, rows, 1)),
                subject.dtype,
                subject.device,
                max(float(np.tensordot(weights, abs(s), 1).max(initial=0.0)) for s in scales),
                limit,
            )
        )
    return comparisons
