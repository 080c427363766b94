"""Evaluate one optimizer on held-out problems."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from loptbench.discovery import get_implementation, oracle
from loptbench.errors import LoptbenchError
from loptbench.mechanisms.dynamics.contract import checked
from loptbench.optimizers import OptimizerSpec, why_not_offered
from loptbench.results.schema.evaluation import Evaluation
from loptbench.rollout.evaluation import evaluate as evaluate_spec
from loptbench.rollout.evaluation import summarize
from loptbench.rollout.held_out import PAPER
from loptbench.rollout.offered import require_task
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.storage.weights import Checkpoint
from loptbench.study.resolve import NO_SETTINGS, AnyOptimizer, resolve
from loptbench.tasks import CustomTask, Task, get_task, register


def evaluate(
    optimizer: AnyOptimizer,
    task: str | Task | None = None,
    *,
    implementation: str = "reference",
    n_problems: int = PAPER,
    n_steps: int | None = None,
    seed: int = 0,
    dtype: str = "float64",
    settings: Mapping[str, Any] = NO_SETTINGS,
) -> Evaluation:
    """Run an optimizer on held-out problems of a task.

    >>> evaluation = evaluate("momentum:alpha=0.1,beta=0.9", "quadratic", n_problems=4)
    >>> evaluation.objective.shape, evaluation.curve_mean.shape
    ((4,), (201,))
    >>> evaluation.n_diverged
    0

    Args:
        optimizer: a checkpoint's name or file, a baseline such as `sgd:alpha=0.1`,
            `package.module:Object`, an `OptimizerSpec`, any object with `initial_state` and
            `step`, or an optimizer of `torch.optim` or `optax`; the last two run in float64.
        task: the task or its name; the checkpoint's own if None.
        implementation: the implementation that computes a checkpoint or a baseline.
        n_problems: the number of problems.
        n_steps: the number of steps; the task's own if None.
        seed: the seed of the problems.
        dtype: the floating-point type of the computation.
        settings: settings of an optimizer that is named, such as `{"lr": 0.001}` of
            `torch.optim:AdamW`.

    Returns:
        The meta-objective of each problem, and the mean loss at each step.

    Raises:
        LoptbenchError: the optimizer, the task or the implementation is unknown, or the
            implementation does not offer what is asked of it.
    """
    resolved = resolve(optimizer, settings)
    if task is None:
        if not isinstance(resolved, Checkpoint):
            raise LoptbenchError("no task is given, and only a checkpoint has one of its own")
        task = resolved.task
    if isinstance(task, str):
        task = get_task(task)
    elif isinstance(task, CustomTask):
        task = register(task)
    n_steps = n_steps or task.n_steps
    spec = resolved.optimizer if isinstance(resolved, Checkpoint) else resolved
    is_spec = isinstance(spec, OptimizerSpec)
    computing = get_implementation(implementation) if is_spec else oracle()
    require_task(computing, task)
    batch = task.sample("evaluate", seed, range(n_problems))
    if not isinstance(spec, OptimizerSpec):
        with np.errstate(all="ignore"):  # a rollout that diverges is a result, not a warning
            with checked(spec) as brought:
                problems = computing.problems(batch, "float64", "cpu")
                run = unroll_by_steps(brought, problems, batch.initial_parameters, n_steps)
            return summarize(run.loss)
    for label, name, offered in (
        ("optimizer", spec.kind, computing.optimizers),
        ("dtype", dtype, computing.dtypes),
    ):
        if name not in offered:
            why = why_not_offered(name, implementation)
            raise LoptbenchError(f"{implementation} does not compute the {label} {name!r}{why}")
    return evaluate_spec(computing, spec.rounded_to(dtype), batch, n_steps, dtype)
