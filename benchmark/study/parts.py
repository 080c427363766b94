"""Parts of the benchmark: a small one, the default one, and all of it.

The trials of a part are trials of all of it, but for evaluations on the paper's 128 problems: those
of `quick`, and in `default` those on the networks. One seed decides no verdict there, on however
many problems.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping

from loptbench.discovery import ORACLE
from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.rollout.held_out import PAPER
from loptbench.tasks import TASKS
from loptbench.zoo.catalogue import Member, zoo

SMALL_TASKS = ("quadratic", "rosenbrock")
"""The tasks of a few parameters. On the networks a trial takes minutes."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        name: its name.
        has_member: whether a learned optimizer of the zoo is measured.
        keeps: whether a trial is run.
        max_problems: the largest number of problems of an evaluation, by task.
    """

    name: str
    has_member: Callable[[Member], bool]
    keeps: Callable[[TrialKey], bool]
    max_problems: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def checkpoints(self, tasks: Collection[str]) -> list[str]:
        """The names of its learned optimizers that were meta-trained on one of the tasks."""
        return [m.name for m in zoo() if m.task in tasks and self.has_member(m)]


def _is_first_seed(member: Member) -> bool:
    return member.preset == "quick" and member.seed == 0


def _is_a_baseline_of_the_oracle_on_networks(key: TrialKey) -> bool:
    """The others' baselines are held to the oracle on drawn runs, in their own trials."""
    is_baseline = key.optimizer.role is Role.BASELINES
    return is_baseline and key.implementation == ORACLE and key.task not in SMALL_TASKS


def _is_quick_trial(key: TrialKey) -> bool:
    """One random optimizer's checks on the small tasks; no mechanisms of baselines."""
    if key.trial is TrialKind.CONFORMANCE:
        is_random = key.optimizer.name == "random gru" and key.dtype == "float64"
        return is_random and key.task in SMALL_TASKS
    if key.trial is TrialKind.EVALUATION:
        return not _is_a_baseline_of_the_oracle_on_networks(key)
    return key.optimizer.role is not Role.TUNED


def _is_default_trial(key: TrialKey) -> bool:
    """All but the mechanisms of baselines on the networks, whose answers are known."""
    of_baseline = key.trial is TrialKind.MECHANISMS and key.optimizer.role is Role.TUNED
    if of_baseline:
        return key.task in SMALL_TASKS
    return not _is_a_baseline_of_the_oracle_on_networks(key)


QUICK = Part(
    "quick",
    _is_first_seed,
    _is_quick_trial,
    dict.fromkeys(TASKS, PAPER),
)

DEFAULT = Part(
    "default",
    lambda member: member.preset == "quick" and (member.task in SMALL_TASKS or member.seed == 0),
    _is_default_trial,
    dict.fromkeys([task for task in TASKS if task not in SMALL_TASKS], PAPER),
)

FULL = Part("full", lambda _member: True, lambda _key: True)

PARTS = {part.name: part for part in (QUICK, DEFAULT, FULL)}
