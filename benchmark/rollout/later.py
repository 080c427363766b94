"""Runs that go on after a task's own number of steps, to see an optimizer near convergence."""

from typing import NamedTuple

from loptbench.protocol import Optimizer, Problems, Trajectory
from loptbench.rollout.trajectory import loop

LAST_MULTIPLE = 5
"""Runs go on to this multiple of T, the task's number of steps."""

MAX_MULTIPLICATIONS = 2**32
"""Bound of n_components · n_steps · n_state² for the steps after T: about a second of work."""


class LaterRuns(NamedTuple):
    """What real runs do after T steps, on the first of their problems.

    Attributes:
        second: the steps T to 2 T.
        last: the steps 4 T to 5 T.
    """

    second: Trajectory
    last: Trajectory


def n_continued(n_problems: int, n_parameters: int, n_state: int, n_steps: int) -> int:
    """The number of problems whose runs go on, at least one.

    >>> n_continued(64, 5, 64, 201), n_continued(64, 5, 256, 201)
    (64, 16)
    """
    per_problem = n_parameters * (LAST_MULTIPLE - 1) * n_steps * max(1, n_state) ** 2
    return max(1, min(n_problems, MAX_MULTIPLICATIONS // per_problem))


def continue_runs(optimizer: Optimizer, problems: Problems, run: Trajectory) -> LaterRuns:
    """Continue runs to 5 T steps.

    Args:
        optimizer: the optimizer.
        problems: the problems of the runs.
        run: their first T steps.
    """
    n_steps = len(run.loss)
    stretch, stretches = run, []
    for k in range(1, LAST_MULTIPLE):
        steps = range(k * n_steps, (k + 1) * n_steps)
        x, state = stretch.parameters[-1], stretch.state[-1]
        stretch = loop(optimizer, problems, x, state, steps)
        stretches.append(stretch)
        stretches = [stretches[0], stretches[-1]]
    return LaterRuns(*stretches)


def first_problems(run: Trajectory, n_problems: int) -> Trajectory:
    """The runs of the first problems of a batch."""
    n_components = n_problems * run.parameters.shape[2]
    return Trajectory(
        run.loss[:, :n_problems],
        run.parameters[:, :n_problems],
        run.gradient[:, :n_problems],
        run.state[:, :n_components],
        run.update[:, :n_problems],
    )
