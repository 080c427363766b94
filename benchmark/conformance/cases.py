"""What the checks are run on: optimizers in which nothing is zero, and problems."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.trajectories import oracle_run
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec, baseline, composed, random_gru
from loptbench.results.schema.keys import OptimizerId, Role
from loptbench.storage.weights import Checkpoint
from loptbench.tasks import ProblemBatch, Task, get_task
from loptbench.zoo.catalogue import representatives, shipped

N_PROBLEMS = 6
N_FULL = 2


@dataclasses.dataclass(frozen=True)
class Case:
    """An optimizer on a batch of problems.

    Attributes:
        optimizer: the optimizer's role and name.
        spec: the optimizer.
        task: the task, at a size at which many runs of the oracle are quick.
        batch: problems of it.
        full: problems of the task at its default size; `batch` where that is quick enough.
        other: problems of another size: neither their number nor a dimension may be built in.
        near_minimum: parameters at which each problem of `batch` has a low loss.
    """

    optimizer: OptimizerId
    spec: OptimizerSpec
    task: Task
    batch: ProblemBatch
    full: ProblemBatch
    other: ProblemBatch
    near_minimum: NDArray[np.float64]

    @property
    def label(self) -> str:
        """How messages name the optimizer."""
        return str(self.optimizer)

    @property
    def n_steps(self) -> int:
        """How many inner steps a run takes."""
        return self.task.n_steps


SMALL: dict[str, dict[str, Any]] = {
    "quadratic": {},
    "rosenbrock": {},
    "two_moons": {"width": 4, "n_samples": 40},
    "digits": {"channels": 3, "batch_size": 6},
}
"""The settings of `Case.task` that differ from the default ones."""

ANOTHER_SIZE: dict[str, dict[str, Any]] = {
    "quadratic": {"n_parameters": 2},
    "rosenbrock": {"n_parameters": 3, "curvature": 30.0},
    "two_moons": {"width": 3, "n_samples": 25, "penalty": 2e-2},
    "digits": {"channels": 2, "batch_size": 4, "n_steps": 7},
}
"""The settings of `Case.other`. With 7 minibatches, a longer run begins again with the first."""

GENTLER = {"rosenbrock": 1e-3, "two_moons": 0.3, "digits": 0.1}
"""What rates are multiplied with where those of the other tasks would blow up."""

GRU_SCALES = {
    "quadratic": (0.7, 0.3),
    "rosenbrock": (0.007, 0.03),
    "two_moons": (0.7, 0.01),
    "digits": (7.0, 0.01),
}
"""Input and output scale of the random GRU: its units see gradients of order one, and its drift
does not blow up the weights of a network."""


def cases(
    kind: str, task_name: str, seed: int, checkpoints: Mapping[str, Checkpoint] | None = None
) -> list[Case]:
    """The cases of one optimizer kind on one task.

    The scales of the random GRUs are not 1, and epsilon is not small, so that an implementation
    that forgets one is found; 7 units are no power of two, and with 1 unit an axis can get lost.
    The shipped checkpoint is there because trained weights are larger than random ones.

    Args:
        kind: the optimizer kind.
        task_name: the task.
        seed: the seed of the problems and of the random GRU.
        checkpoints: the learned optimizers, by name; that of `quadratic` if None.
    """
    if checkpoints is None:
        checkpoints = {name: shipped(name) for name in representatives(["quadratic"])}
    specs: dict[str, OptimizerSpec] = {}
    learned: dict[str, OptimizerSpec] = {}
    if kind == "gru":
        specs["random gru"] = random_gru(7, seed, *GRU_SCALES[task_name])
        if task_name == "quadratic":
            one_unit = random_gru(1, seed, input_scale=-1.2, output_scale=0.4)
            specs["random gru of 1 unit"] = one_unit
        for name, checkpoint in checkpoints.items():
            if checkpoint.task == task_name:
                learned[name] = checkpoint.optimizer
    elif kind == "composed" and task_name == "quadratic":
        # What it is there for is its step: one task will do.
        specs[kind] = composed(0.6, (0.5, 0.8, 0.2), clip=0.5, start=0.3, decay=0.9)
    elif kind in EXAMPLES:
        alpha = GENTLER.get(task_name, 1.0) * EXAMPLES[kind]["alpha"]
        specs[kind] = baseline(kind, 0.03, **{**EXAMPLES[kind], "alpha": alpha})
    task: Any = get_task(task_name)  # a frozen dataclass: it can be hashed
    problems = _problems(task, seed)
    return [
        Case(OptimizerId(role=role, name=name), spec, *problems)
        for role, named in ((Role.CASE, specs), (Role.CHECKPOINT, learned))
        for name, spec in named.items()
    ]


EXAMPLES: dict[str, dict[str, float]] = {
    "sgd": {"alpha": 0.3},
    "momentum": {"alpha": 0.7, "beta": 0.6},
    "nesterov": {"alpha": 0.4, "beta": 0.7},
    "rmsprop": {"alpha": 0.05, "gamma": 0.8},
    "adam": {"alpha": 0.06, "beta1": 0.7, "beta2": 0.85},
}
"""Hyperparameters for the checks."""


@functools.cache
def _problems(
    task: Any, seed: int
) -> tuple[Task, ProblemBatch, ProblemBatch, ProblemBatch, NDArray[np.float64]]:
    small = dataclasses.replace(task, **SMALL[task.name])
    other = dataclasses.replace(task, **ANOTHER_SIZE[task.name])
    batch = small.sample("evaluate", seed, range(N_PROBLEMS))
    full = task.sample("evaluate", seed, range(N_FULL)) if SMALL[task.name] else batch
    return (
        small,
        batch,
        full,
        other.sample("evaluate", seed, range(9)),
        NEAR_MINIMUM[task.name](batch),
    )


def _quadratic_minimum(batch: ProblemBatch) -> NDArray[np.float64]:
    # x* = −H⁻¹v
    H, v = batch.arrays["H"], batch.arrays["v"]
    return np.asarray(-np.linalg.solve(H, v[:, :, None])[:, :, 0])


def _rosenbrock_minimum(batch: ProblemBatch) -> NDArray[np.float64]:
    return np.ones_like(batch.initial_parameters) + 1e-7


def _trained(batch: ProblemBatch) -> NDArray[np.float64]:
    # No formula for the minimum of a network: the end of a run of Adam is low enough.
    spec = baseline("adam", alpha=0.03, beta1=0.9, beta2=0.99)
    return np.asarray(oracle_run(oracle(), spec, batch, 150).parameters[-1])


NEAR_MINIMUM: dict[str, Callable[[ProblemBatch], NDArray[np.float64]]] = {
    "quadratic": _quadratic_minimum,
    "rosenbrock": _rosenbrock_minimum,
    "two_moons": _trained,
    "digits": _trained,
}


def in_domain(kind: str, state: NDArray[Any]) -> NDArray[Any]:
    """States that the kind can have, made of any: no negative squares, whole numbers of steps."""
    if kind == "rmsprop":
        return np.asarray(np.abs(state) + np.asarray(0.5, state.dtype))
    if kind == "adam":
        m, v, t = np.moveaxis(state, -1, 0)
        half = np.asarray(0.5, state.dtype)
        return np.stack([m, np.abs(v) + half, 2 + np.round(10 * np.abs(t))], axis=-1)
    return state
