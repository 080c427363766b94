"""Checks of outer steps at the sizes of a meta-training: batches, run lengths, steps, seeds.

A meta-training of the zoo has batches of 64 problems and late ones of 256, runs of 201 steps,
thousands of outer steps, and several seeds side by side. Its result is a checkpoint, which nobody
compares with the oracle's: an error that shows only there is never seen again.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.conformance.full_size import drawn_size
from loptbench.conformance.messages import explained
from loptbench.conformance.outer_checks import compare_outer_step, oracle_outer_step
from loptbench.conformance.outer_problems import OuterProblem, outer_problem, small_subject
from loptbench.conformance.run_checks import LONG_RUN
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.discovery import oracle
from loptbench.protocol import MetaTrainsSideBySide

BATCH_SIZE = 256
"""Problems of the largest outer step of the presets, a late one of `standard`."""

N_STEPS = 5

SEGMENT = 3
"""A segment of backpropagation that does not divide the number of steps."""

N_OUTER_STEPS = 300
"""Outer steps that are taken; counters of one byte, and bias corrections that stop, show."""

COMPARED_AFTER = (1, 20, 140, N_OUTER_STEPS)


def outer_sizes(subject: Subject) -> Iterator[Comparison]:
    """Outer steps on more than 256 problems, of 260 inner steps, and of many seeds are right."""
    seed = subject.case.batch.seed
    n_problems = BATCH_SIZE + drawn_size(seed, "batch", 1, 30)
    for dtype in subject.implementation.dtypes:
        small = small_subject(dataclasses.replace(subject, dtype=dtype))
        large = outer_problem(small, batch_size=n_problems, n_steps=N_STEPS)
        yield from _compare_one(small, large, f"on {n_problems} problems, {dtype}")
    small = small_subject(subject)
    long = outer_problem(small, batch_size=1, n_steps=LONG_RUN)
    yield from _compare_one(small, long, f"of {LONG_RUN} inner steps")
    if isinstance(subject.implementation, MetaTrainsSideBySide):
        in_segments = outer_problem(
            small, batch_size=n_problems, n_steps=N_STEPS, bptt_segment=SEGMENT
        )
        yield from _compare_seeds(small, in_segments, 2, ())
        yield from _compare_seeds(small, long, 5, (0, 4))


def _compare_one(subject: Subject, problem: OuterProblem, words: str) -> Iterator[Comparison]:
    spec, config, batches = problem
    expected = oracle_outer_step(
        oracle(), oracle().outer_init(spec.parameters, config), spec, batches[0], config
    )
    actual = subject.outer_step(subject.outer_init(spec, config), spec, batches[0], config)
    yield from explained(
        compare_outer_step(subject, spec, actual, expected), f"in an outer step {words}"
    )


def _compare_seeds(
    subject: Subject, problem: OuterProblem, n_seeds: int, diverging: Sequence[int]
) -> Iterator[Comparison]:
    """Compare outer steps side by side; the problems of some seeds start at NaN."""
    spec, config, batches = problem
    own = [
        batch.starting_at(np.nan * batch.initial_parameters) if i in diverging else batch
        for i, batch in enumerate(batches[:n_seeds])
    ]
    start = subject.outer_init(spec, config)
    with np.errstate(all="ignore"):
        new = subject.outer_steps([start] * n_seeds, spec, own, config)
    first = oracle().outer_init(spec.parameters, config)
    for i, (step, batch) in enumerate(zip(new, own, strict=True)):
        words = (
            f"in an outer step of seed {i} of {n_seeds} side by side, on {batch.n_problems} "
            f"problems, {config.n_steps} inner steps, bptt_segment {config.bptt_segment}"
        )
        if i in diverging:
            if np.isfinite(step[1]):
                raise CheckFailedError(
                    f"{words}: the problems start at NaN, but the objective is {step[1]}"
                )
            continue
        expected = oracle_outer_step(oracle(), first, spec, batch, config)
        yield from explained(compare_outer_step(subject, spec, step, expected), words)


def outer_many_steps(subject: Subject) -> Iterator[Comparison]:
    """The parameters after 300 outer steps are the oracle's.

    Adam's epsilon is above the size of the meta-gradient, and the learning rate is small, so that
    rounding errors add up and do not grow.
    """
    small = small_subject(subject)
    usual = outer_problem(small, batch_size=1, n_steps=2)
    problem = outer_problem(
        small,
        batch_size=1,
        n_steps=2,
        learning_rate=1e-4,
        decay=0.9,
        decay_steps=100,
        epsilon=10 * usual.config.epsilon,
    )
    spec, config, batches = problem
    outer = subject.outer_init(spec, config)
    expected = oracle().outer_init(spec.parameters, config)
    for k in range(N_OUTER_STEPS):
        batch = batches[k % len(batches)]
        step = small.outer_step(outer, spec, batch, config)
        expected_step = oracle().outer_step(expected, spec, batch, config)
        outer, expected = step[0], expected_step[0]
        if k + 1 in COMPARED_AFTER:
            yield from explained(
                compare_outer_step(small, spec, step, expected_step),
                f"after {k + 1} outer steps of a {spec.kind} with state of {spec.n_state}",
            )
