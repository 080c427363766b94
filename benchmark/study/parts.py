"""Parts of the benchmark: a small one, the default one, and all of it.

The trials of a part are trials of all of it, but for evaluations on the paper's 128 problems: those
of `quick`, and in `default` those on the networks. One seed decides no verdict there, on however
many problems.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from loptbench.discovery import ORACLE
from loptbench.optimizers import DEFAULT_ARCHITECTURE
from loptbench.results.schema.keys import OptimizerId, Role, TrialKey, TrialKind
from loptbench.rollout.held_out import ORACLE_DTYPE, PAPER
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS
from loptbench.zoo.catalogue import Member, zoo

RANDOM_GRU = "random gru"
"""The name of the conformance trials of a learned optimizer with random weights."""

SMALL_TASKS = ("quadratic", "rosenbrock")
"""The tasks of a few parameters. On the networks a trial takes minutes."""


NETWORKS = ("two_moons", "digits")
"""The shipped tasks that are networks."""

Checked = tuple[str, str, OptimizerId]
"""Implementation, task and optimizer of a conformance trial."""


class Planned(NamedTuple):
    """What decides of a planned trial beside its own key.

    Attributes:
        measures: the implementation that measures learned optimizers on a task; where several do,
            the first.
        checked: what has a conformance trial in the finest arithmetic.
        beside_adapted: the implementations and tasks on whose problems adapted optimizers run.
    """

    measures: Mapping[str, str]
    checked: Collection[Checked]
    beside_adapted: Collection[tuple[str, str]] = ()

    @classmethod
    def of(cls, keys: Iterable[TrialKey]) -> "Planned":
        """What is planned, from the keys of all trials."""
        measures: dict[str, str] = {}
        checked, beside_adapted = set(), set()
        for key in keys:
            if key.optimizer.role is Role.ADAPTED:
                beside_adapted.add((key.implementation, key.task))
            if key.trial is TrialKind.EVALUATION and key.optimizer.role is Role.CHECKPOINT:
                measures.setdefault(key.task, key.implementation)
            if key.trial is TrialKind.CONFORMANCE and key.dtype == ORACLE_DTYPE:
                checked.add(_checked(key))
        return cls(measures, checked, beside_adapted)


def _checked(key: TrialKey) -> Checked:
    return key.implementation, key.task, key.optimizer


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        name: its name.
        has_member: whether a learned optimizer of the zoo belongs to it.
        keeps: whether a trial is run, beside what else is planned.
        left_out: what a run of it leaves out, in words; None for nothing.
        max_problems: the largest number of problems of an evaluation, by task.
    """

    name: str
    has_member: Callable[[Member], bool]
    keeps: Callable[[TrialKey, Planned], bool]
    left_out: str | None = None
    max_problems: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def checkpoints(self, tasks: Collection[str]) -> list[str]:
        """The names of its learned optimizers that were meta-trained on one of the tasks."""
        return [m.name for m in zoo() if m.task in tasks and self.has_member(m)]

    def trials(self, planned: Sequence[Trial]) -> list[Trial]:
        """The trials that are run, of those that are planned for all of the benchmark.

        Adapted optimizers are named one by one, and belong to every part.
        """
        context = Planned.of(trial.key for trial in planned)
        return [
            trial
            for trial in planned
            if trial.key.optimizer.role is Role.ADAPTED or self.keeps(trial.key, context)
        ]


def _is_small_gru(member: Member) -> bool:
    return member.preset == "quick" and member.architecture == DEFAULT_ARCHITECTURE


def _is_measured(key: TrialKey, planned: Planned) -> bool:
    """On the networks, one implementation measures. The conformance trials check the others.

    On tasks from outside, the others' baselines are held to the oracle on drawn runs.
    """
    if key.task in NETWORKS:
        return key.implementation == planned.measures.get(key.task)
    is_of_oracle = key.optimizer.role is Role.BASELINES and key.implementation == ORACLE
    return key.task in SMALL_TASKS or not is_of_oracle


def _is_quick_trial(key: TrialKey, planned: Planned) -> bool:
    """One random optimizer's checks on the small tasks; no mechanisms of baselines."""
    if key.trial is TrialKind.CONFORMANCE:
        is_random = key.optimizer.name == RANDOM_GRU and key.dtype == ORACLE_DTYPE
        return is_random and key.task in SMALL_TASKS
    is_of_baseline = key.trial is TrialKind.MECHANISMS and key.optimizer.role is Role.TUNED
    return _is_measured(key, planned) and not is_of_baseline


def _is_default_trial(key: TrialKey, planned: Planned) -> bool:
    """All but what the whole benchmark adds on the networks, and most checks in float32.

    On the networks these are mechanisms of baselines, whose answers are known, the measurements of
    further implementations, and the oracle's checks of itself. In float32, in which the GRUs of the
    zoo are evaluated, only these are checked, and not on the networks.
    """
    if key.trial is TrialKind.CONFORMANCE:
        if key.dtype != ORACLE_DTYPE and _checked(key) in planned.checked:
            is_gru = key.optimizer.role is Role.CHECKPOINT or key.optimizer.name == RANDOM_GRU
            return is_gru and key.task not in NETWORKS
        return key.task not in NETWORKS or key.implementation != ORACLE
    is_of_baseline = key.trial is TrialKind.MECHANISMS and key.optimizer.role is Role.TUNED
    return key.task in SMALL_TASKS or (_is_measured(key, planned) and not is_of_baseline)


def _is_beside_adapted(key: TrialKey, planned: Planned) -> bool:
    """The tuned baselines where adapted optimizers run; on networks without their mechanisms."""
    is_compared = key.optimizer.role is Role.BASELINES or (
        key.optimizer.role is Role.TUNED and key.task in SMALL_TASKS
    )
    return is_compared and (key.implementation, key.task) in planned.beside_adapted


ADAPTED = Part(
    "adapted",
    lambda _member: False,
    _is_beside_adapted,
    "learned optimizers, conformance, all implementations but one, and on the networks mechanisms "
    "of baselines",
)
"""What is measured beside adapted optimizers where nothing else is named."""

QUICK = Part(
    "quick",
    lambda member: _is_small_gru(member) and member.seed == 0,
    _is_quick_trial,
    "all seeds but the first; presets other than quick, and architectures other than GRUs; "
    f"mechanisms of baselines; evaluations on more than {PAPER} problems; on the networks the "
    "measurements of all implementations but one, and conformance; elsewhere conformance of all "
    "but one random optimizer",
    dict.fromkeys(TASKS, PAPER),
)

DEFAULT = Part(
    "default",
    lambda member: _is_small_gru(member) and (member.task in SMALL_TASKS or member.seed == 0),
    _is_default_trial,
    "presets other than quick, and architectures other than GRUs; on the networks all seeds but "
    f"the first, evaluations on more than {PAPER} problems, the measurements of all "
    "implementations but one, mechanisms of baselines, and the reference's checks of itself; in "
    "float32 the conformance of all but GRUs, and on the networks of all optimizers",
    dict.fromkeys(NETWORKS, PAPER),
)

FULL = Part("full", lambda _member: True, lambda _key, _planned: True)

PARTS = {part.name: part for part in (QUICK, DEFAULT, FULL)}
