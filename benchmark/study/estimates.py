"""How long trials take: from a table at first, then from the trials that have ended."""

from collections import defaultdict

from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.rollout.held_out import DEFAULT, HELD_OUT

SECONDS: dict[TrialKind, dict[str, float]] = {
    TrialKind.CONFORMANCE: {"quadratic": 2, "rosenbrock": 3, "two_moons": 8, "digits": 15},
    TrialKind.EVALUATION: {"quadratic": 3, "rosenbrock": 2, "two_moons": 14, "digits": 20},
    TrialKind.MECHANISMS: {"quadratic": 3, "rosenbrock": 2, "two_moons": 10, "digits": 15},
}
"""Seconds of a trial by kind and task, about; of an evaluation, with all held-out problems."""

BASELINES = {"quadratic": 2.0, "rosenbrock": 2.0, "two_moons": 60.0, "digits": 90.0}
"""The same of the evaluation of all baselines of a task."""

OF_DRAWN_RUNS = 0.4
"""The share of an evaluation's time that does not depend on the number of its problems: that of
the few which the reference repeats."""

ELSEWHERE = 10.0
"""Seconds of a trial on a task that is not in the table."""

WEIGHT = 10.0
"""Seconds of trials after which what they took counts as much as the table."""


class Estimates:
    """Estimated durations of trials, corrected by how long others of their kind took."""

    def __init__(self) -> None:
        self._expected: dict[tuple[str, ...], float] = defaultdict(float)
        self._took: dict[tuple[str, ...], float] = defaultdict(float)

    def observe(self, key: TrialKey, seconds: float) -> None:
        """A trial took so many seconds."""
        for group in _groups(key):
            self._expected[group] += expected_seconds(key)
            self._took[group] += seconds

    def seconds(self, key: TrialKey) -> float:
        """The estimated duration of a trial, in seconds."""
        factor = 1.0
        for group in _groups(key):  # the widest group first: the next one starts from its factor
            took, expected = self._took[group], self._expected[group]
            factor = (took + WEIGHT * factor) / (expected + WEIGHT)
        return factor * expected_seconds(key)


def expected_seconds(key: TrialKey) -> float:
    """The duration of a trial before anything is known about the machine, in seconds."""
    is_baselines = key.optimizer.role is Role.BASELINES
    seconds = (BASELINES if is_baselines else SECONDS[key.trial]).get(key.task, ELSEWHERE)
    if key.trial is TrialKind.EVALUATION and key.n_problems:
        share = key.n_problems / HELD_OUT.get(key.task, DEFAULT).n_problems
        seconds *= OF_DRAWN_RUNS + (1 - OF_DRAWN_RUNS) * share
    return seconds


def _groups(key: TrialKey) -> tuple[tuple[str, ...], ...]:
    of_kind = str(key.trial), key.implementation
    return (), (key.implementation,), of_kind, (*of_kind, key.task)
