"""What the checks are run on: optimizers in which nothing is zero, and problems."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec, momentum, random_gru, sgd
from loptbench.tasks import ProblemBatch, Quadratic, get_task
from loptbench.weights import Checkpoint
from loptbench.zoo import SHIPPED, shipped

N_PROBLEMS = 6


@dataclasses.dataclass(frozen=True)
class Case:
    """An optimizer on a batch of problems.

    Attributes:
        label: how messages name the optimizer.
        spec: the optimizer.
        batch: the problems.
        other: problems of the same task of another size: neither their number nor their
            dimension may be built in.
        near_minimum: parameters at which each problem of `batch` has almost its lowest loss.
        n_steps: how many inner steps a run takes.
    """

    label: str
    spec: OptimizerSpec
    batch: ProblemBatch
    other: ProblemBatch
    near_minimum: NDArray[np.float64]
    n_steps: int


def cases(
    kind: str, task_name: str, seed: int, checkpoints: Mapping[str, Checkpoint] | None = None
) -> list[Case]:
    """The cases of one optimizer kind on one task.

    The scales of the random GRUs are not 1, so that an implementation that forgets one is found; 7
    units are no power of two, and with 1 unit an axis can get lost. The shipped checkpoints
    are there because trained weights are larger than random ones.

    Args:
        kind: the optimizer kind.
        task_name: the task.
        seed: the seed of the problems and of the random GRU.
        checkpoints: the learned optimizers, by name; the shipped ones if None.
    """
    if checkpoints is None:
        checkpoints = {name: shipped(name) for name in SHIPPED}
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(N_PROBLEMS))
    other, near_minimum = ANOTHER_SIZE[task_name](seed), NEAR_MINIMUM[task_name](batch)
    specs: dict[str, OptimizerSpec] = {}
    if kind == "sgd":
        specs["sgd"] = sgd(0.3)
    elif kind == "momentum":
        specs["momentum"] = momentum(0.7, 0.6)
    elif kind == "gru":
        specs["random gru"] = random_gru(7, seed, input_scale=0.7, output_scale=0.3)
        specs["random gru of 1 unit"] = random_gru(1, seed, input_scale=-1.2, output_scale=0.4)
        for name, checkpoint in checkpoints.items():
            if checkpoint.task == task_name:
                specs[f"checkpoint {name}"] = checkpoint.optimizer
    return [
        Case(label, spec, batch, other, near_minimum, task.n_steps) for label, spec in specs.items()
    ]


def _small_quadratics(seed: int) -> ProblemBatch:
    return Quadratic(n_parameters=2).sample("evaluate", seed, range(9))


def _quadratic_minimum(batch: ProblemBatch) -> NDArray[np.float64]:
    # x* = −H⁻¹v
    H, v = batch.arrays["H"], batch.arrays["v"]
    return np.asarray(-np.linalg.solve(H, v[:, :, None])[:, :, 0])


ANOTHER_SIZE: dict[str, Callable[[int], ProblemBatch]] = {"quadratic": _small_quadratics}
NEAR_MINIMUM: dict[str, Callable[[ProblemBatch], NDArray[np.float64]]] = {
    "quadratic": _quadratic_minimum
}
