"""Runs that go on after a task's own number of steps, to see an optimizer near convergence."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def of_problems(run: Trajectory, chosen: NDArray[np.int64]) -> Trajectory:
    """The runs of some of the problems.

    Args:
        run: the runs.
        chosen: the places of the problems in the batch, in increasing order.
    """
    _, n_problems, n_parameters = run.gradient.shape
    if len(chosen) == n_problems:
        return run  # states are large, and copies of them take seconds
    n_state = run.state.shape[2]
    by_problem = run.state.reshape(len(run.state), n_problems, n_parameters, n_state)
    return Trajectory(
        run.loss[:, chosen],
        run.parameters[:, chosen],
        run.gradient[:, chosen],
        by_problem[:, chosen].reshape(len(run.state), len(chosen) * n_parameters, n_state),
        run.update[:, chosen],
    )


def finite_problems(run: Trajectory) -> NDArray[np.bool_]:
    """Whether states, updates and parameters of each problem are finite numbers, (n_problems,)."""
    _, n_problems, n_parameters = run.gradient.shape
    state = np.all(np.isfinite(run.state.astype(np.float64, copy=False)), axis=(0, 2))
    finite = state.reshape(n_problems, n_parameters).all(axis=1)
    for part in (run.update, run.parameters):
        finite &= np.all(np.isfinite(part), axis=(0, 2))
    return np.asarray(finite)
