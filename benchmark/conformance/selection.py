"""Which checks run on which cases, and how long those take that are left."""

import dataclasses
import time
from collections.abc import Collection, Iterable
from typing import Any

from loptbench.conformance.cases import checked_kinds
from loptbench.conformance.subject import Subject
from loptbench.conformance.suite import CHECKS, Check, pairs, subjects
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers import KINDS
from loptbench.protocol import Level
from loptbench.rollout.offered import require_task
from loptbench.tasks import CustomTask, get_task


@dataclasses.dataclass(frozen=True)
class Selection:
    """What to check. An empty field selects everything.

    Attributes:
        only: names of checks.
        levels: levels of the protocol.
        tasks: names of tasks.
        optimizers: optimizer kinds, or names of cases: `adam`, `random gru`, a checkpoint.
        dtypes: dtypes.
    """

    only: Collection[str] = ()
    levels: Collection[int] = ()
    tasks: Collection[str] = ()
    optimizers: Collection[str] = ()
    dtypes: Collection[str] = ()

    def selects(self, check: Check, subject: Subject) -> bool:
        """Whether this check runs on this subject."""
        case = subject.case
        return (
            (not self.only or check.name in self.only)
            and (not self.levels or check.level in self.levels)
            and (not self.tasks or case.task.name in self.tasks)
            and (not self.dtypes or subject.dtype in self.dtypes)
            and self.selects_optimizer(subject)
        )

    def selects_optimizer(self, subject: Subject) -> bool:
        """Whether the subject's optimizer is selected, by its kind or its name."""
        names = {subject.case.label, subject.case.optimizer.name, subject.spec.kind}
        return not self.optimizers or bool(names & set(self.optimizers))


def selected_pairs(
    implementation: Any, selection: Selection, seed: int, device: str = "cpu"
) -> list[tuple[Check, Subject]]:
    """Each selected check with each selected subject, in the order in which they run.

    By default a kind is checked on the first task only. A task and an optimizer that are both asked
    for are checked together, also where the default leaves them out.

    >>> from loptbench.discovery import oracle
    >>> chosen = Selection(only=["one-step"], optimizers=["adam"])
    >>> [subject.case.label for _, subject in selected_pairs(oracle(), chosen, seed=7)]
    ['adam']

    Raises:
        UnknownNameError: there is no such check, task or optimizer.
    """
    checks = [check.name for check in CHECKS]
    for name in selection.only:
        if name not in checks:
            raise UnknownNameError("check", name, checks)
    tasks = [get_task(name) for name in selection.tasks]
    for task in tasks:
        if isinstance(task, CustomTask):
            require_task(implementation, task)
    selection = dataclasses.replace(selection, tasks=[task.name for task in tasks])
    every = list(pairs(implementation, seed, devices=[device]))
    names = set(KINDS) | {subject.case.label for _, subject in every}
    names |= {subject.case.optimizer.name for _, subject in every}
    for optimizer in selection.optimizers:
        if optimizer in set(implementation.optimizers) - set(checked_kinds(implementation)):
            raise LoptbenchError(
                f"{optimizer!r} cannot be checked: the architecture brings no cell for the "
                "reference, with which an implementation is compared"
            )
        if optimizer not in names:
            raise UnknownNameError("optimizer", optimizer, list(names))
    chosen = [pair for pair in every if selection.selects(*pair)]
    if chosen or not (selection.tasks and selection.optimizers):
        return chosen
    combined = [
        (kind, task)
        for task in selection.tasks
        for kind in checked_kinds(implementation)
        if task in implementation.tasks
    ]
    candidates = [
        subject
        for subject in subjects(implementation, seed, devices=[device], combinations=combined)
        if selection.selects_optimizer(subject)
    ]
    restricted = pairs(implementation, seed, devices=[device], candidates=candidates)
    return [pair for pair in restricted if selection.selects(*pair)]


RELATIVE_COST = {
    Level.STEP: 1.0,
    Level.UNROLL: 4.0,
    Level.LINEARIZE: 2.0,
    Level.META_GRADIENT: 8.0,
    Level.META_TRAINING: 8.0,
}
"""How long a check takes on one case, relative to others: only estimates of time depend on it."""


class Estimate:
    """How long the checks that are left will take, from how long those before them took."""

    def __init__(self, planned: Iterable[tuple[Check, Subject]]) -> None:
        self.left = sum(RELATIVE_COST[check.level] for check, _ in planned)
        self.done = 0.0
        self.start = time.monotonic()

    def finish(self, check: Check) -> None:
        """Count one check on one case as done."""
        self.left -= RELATIVE_COST[check.level]
        self.done += RELATIVE_COST[check.level]

    def __str__(self) -> str:
        if not self.done:
            return "time left unknown"
        seconds = (time.monotonic() - self.start) / self.done * self.left
        return (
            f"about {seconds:.0f} s left" if seconds < 100 else f"about {seconds / 60:.0f} min left"
        )
