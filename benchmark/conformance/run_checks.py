"""Checks of level 2: whole runs."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from loptbench.agreement.comparison import Comparison
from loptbench.agreement.tolerances import FREE_RUNNING_CEILING
from loptbench.agreement.trajectories import compare_trajectories, oracle_run
from loptbench.conformance.hints import explain_arrays
from loptbench.conformance.messages import explained
from loptbench.conformance.purity import SHORT_RUN, Handles, interleaved, require_pure
from loptbench.conformance.subject import Subject
from loptbench.conformance.verdicts import CheckSkippedError
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Level, Trajectory, UnrollsLosses
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks.base import ProblemBatch

LONG_RUN = 260
"""Inner steps of a run that is longer than that of any task: it finds a built-in length."""


def free_running(subject: Subject) -> Iterator[Comparison]:
    """A whole run is the oracle's at every step, whatever its length and batch."""
    runs = [(subject.case.n_steps, subject.full), (SHORT_RUN, subject.batch)]
    if subject.varies_sizes:
        runs += [(1, subject.batch.part([2])), (LONG_RUN, subject.resized)]
    for n_steps, batch in runs:
        trajectory = subject.unroll(n_steps, *subject.handles(batch))
        yield from _compare_run(subject, trajectory, subject.spec, batch)


def _compare_run(
    subject: Subject, trajectory: Trajectory, spec: OptimizerSpec, batch: ProblemBatch
) -> list[Comparison]:
    """Compare a run with the oracle's, and look for a known pattern where it deviates."""
    comparisons = compare_trajectories(
        oracle(), trajectory, spec, batch, subject.dtype, subject.device
    )
    n_steps = len(trajectory.loss)
    limit = FREE_RUNNING_CEILING * float(np.finfo(subject.dtype).eps)
    words = f"in a run of {n_steps} steps on {batch.n_problems} problems"

    def hint() -> str:
        expected = oracle_run(oracle(), spec, batch, n_steps)
        patterns = (
            explain_arrays(actual, right, limit)
            for actual, right in zip(trajectory, expected, strict=True)
        )
        return next(filter(None, patterns), "")

    return explained(comparisons, words, hint)


def unroll_losses(subject: Subject) -> Iterator[Comparison]:
    """A run that records its losses only has those of the oracle."""
    if not isinstance(subject.implementation, UnrollsLosses):
        raise CheckSkippedError(
            "runs that record losses only are not offered: no method unroll_losses"
        )

    def run(n_steps: int, handles: Handles) -> Trajectory:
        loss = subject.unroll_losses(n_steps, *handles)
        return subject.unroll(n_steps, *handles)._replace(loss=loss)

    batch = subject.full
    whole = run(subject.case.n_steps, subject.handles(batch))
    yield from _compare_run(subject, whole, subject.spec, batch)
    yield from _compare_varied(subject, "unroll_losses", partial(run, SHORT_RUN))


def native_unroll(subject: Subject) -> list[Comparison]:
    """The native unroll is the loop over the implementation's own level 1."""
    return compare_trajectories(
        oracle(),
        subject.unroll(SHORT_RUN, *subject.handles()),
        subject.spec,
        subject.batch,
        subject.dtype,
        subject.device,
        expected=unroll_by_steps(*subject.handles(), SHORT_RUN),
    )


def unroll_purity(subject: Subject) -> list[Comparison]:
    """A run depends on its optimizer, problems and initial parameters only."""
    handles = subject.handles()
    require_pure(
        "unroll",
        lambda: subject.unroll(SHORT_RUN, *handles),
        lambda: subject.unroll(SHORT_RUN, *handles[:2], 2 * handles[2]),
    )
    return _compare_varied(subject, "unroll", lambda handles: subject.unroll(SHORT_RUN, *handles))


def _compare_varied(
    subject: Subject, call_name: str, run: Callable[[Handles], Trajectory]
) -> list[Comparison]:
    """Runs that differ from the case in one respect, made in turn, are the oracle's."""
    comparisons = []
    for varied, trajectory in interleaved(subject, call_name, Level.UNROLL, run):
        start = varied.batch.starting_at(varied.x0)
        comparisons += explained(
            _compare_run(subject, trajectory, varied.spec, start),
            f"in {varied.words}, made in turn with runs that differ from it",
        )
    return comparisons
