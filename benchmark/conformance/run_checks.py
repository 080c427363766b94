"""Level 2: whole runs."""

from loptbench.agreement import Comparison, compare_trajectories
from loptbench.conformance.purity import SHORT, interleaved, part_of, require_pure
from loptbench.conformance.subject import Subject
from loptbench.protocol import Level
from loptbench.trajectory import unroll_by_steps

LONGER = 260
"""Longer than any task's run: a length that is built in is found."""


def free_running(subject: Subject) -> list[Comparison]:
    """A whole run is the oracle's at every step, whatever its length and batch."""
    compared = []
    for n_steps, batch in (
        (subject.case.n_steps, subject.batch),
        (1, subject.batch),
        (SHORT, subject.batch),
        (5, part_of(subject.batch, [2])),
        (LONGER, subject.other),
    ):
        found = subject.unroll(n_steps, *subject.handles(batch))
        compared += compare_trajectories(found, subject.spec, batch, subject.dtype, subject.device)
    return compared


def native_unroll(subject: Subject) -> list[Comparison]:
    """The native unroll is the loop over the implementation's own level 1."""
    n_steps = subject.case.n_steps
    return compare_trajectories(
        subject.unroll(n_steps, *subject.handles()),
        subject.spec,
        subject.batch,
        subject.dtype,
        subject.device,
        expected=unroll_by_steps(*subject.handles(), n_steps),
    )


def unroll_purity(subject: Subject) -> list[Comparison]:
    """A run depends on its optimizer, problems and start, and on nothing before it."""
    handles = subject.handles()
    n_steps = subject.case.n_steps
    require_pure(
        "unroll",
        lambda: subject.unroll(n_steps, *handles),
        lambda: subject.unroll(n_steps, *handles[:2], 2 * handles[2]),
    )
    compared = []
    answers = interleaved(subject, "unroll", Level.UNROLL, lambda h: subject.unroll(SHORT, *h))
    for varied, found in answers:
        start = varied.batch.starting_at(varied.x0)
        compared += compare_trajectories(found, varied.spec, start, subject.dtype, subject.device)
    return compared
