"""What the checks are run on: optimizers in which nothing is zero, and problems."""

import dataclasses

from loptbench.optimizers import OptimizerSpec, momentum, random_gru, sgd
from loptbench.tasks import ProblemBatch, get_task
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


def cases(kind: str, task_name: str, seed: int) -> list[Case]:
    """The cases of one optimizer kind on one task.

    The scales of the random GRU are not 1, so that an implementation that forgets one is found; its
    7 units are no power of two. The shipped checkpoints are there because trained weights are
    larger than random ones.
    """
    task = get_task(task_name)
    batch = task.sample("evaluate", seed, range(N_PROBLEMS))
    specs: dict[str, OptimizerSpec] = {}
    if kind == "sgd":
        specs["sgd"] = sgd(0.3)
    elif kind == "momentum":
        specs["momentum"] = momentum(0.7, 0.6)
    elif kind == "gru":
        specs["random gru"] = random_gru(7, seed, input_scale=0.7, output_scale=0.3)
        for name in SHIPPED:
            checkpoint = shipped(name)
            if checkpoint.task == task_name:
                specs[f"checkpoint {name}"] = checkpoint.optimizer
    return [Case(label, spec, batch, task.n_steps) for label, spec in specs.items()]
