"""What the checks are run on: optimizers in which nothing is zero, and problems."""

import dataclasses
from collections.abc import Mapping

from loptbench.optimizers import OptimizerSpec, momentum, random_gru, sgd
from loptbench.tasks import ProblemBatch, get_task
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
        n_steps: how many inner steps a run takes.
    """

    label: str
    spec: OptimizerSpec
    batch: ProblemBatch
    n_steps: int


def cases(
    kind: str, task_name: str, seed: int, checkpoints: Mapping[str, Checkpoint] | None = None
) -> list[Case]:
    """The cases of one optimizer kind on one task.

    The scales of the random GRU are not 1, so that an implementation that forgets one is found; its
    7 units are no power of two. The shipped checkpoints are there because trained weights are
    larger than random ones.

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
    specs: dict[str, OptimizerSpec] = {}
    if kind == "sgd":
        specs["sgd"] = sgd(0.3)
    elif kind == "momentum":
        specs["momentum"] = momentum(0.7, 0.6)
    elif kind == "gru":
        specs["random gru"] = random_gru(7, seed, input_scale=0.7, output_scale=0.3)
        for name, checkpoint in checkpoints.items():
            if checkpoint.task == task_name:
                specs[f"checkpoint {name}"] = checkpoint.optimizer
    return [Case(label, spec, batch, task.n_steps) for label, spec in specs.items()]
