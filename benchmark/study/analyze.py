"""Measure the mechanisms of an optimizer that a user names."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError
from loptbench.mechanisms.analysis import Measurement
from loptbench.mechanisms.analysis import measure as measure_optimizer
from loptbench.mechanisms.dynamics.contract import checked
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Trajectory
from loptbench.results.schema.mechanisms import MechanismsResult
from loptbench.rollout.offered import require_task
from loptbench.storage.weights import Checkpoint
from loptbench.study.confirmation import require_not_kept
from loptbench.study.resolve import NO_SETTINGS, AnyOptimizer, realize, resolve
from loptbench.tasks import get_task
from loptbench.threads import component_threads


def analyze(
    optimizer: AnyOptimizer,
    task: str | None = None,
    *,
    implementation: str = "reference",
    seed: int = 0,
    n_problems: int | None = None,
    gradients: Iterable[float] | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    confirm: bool = False,
) -> MechanismsResult:
    """Measure the mechanisms of an optimizer.

    >>> analysis = analyze("momentum:alpha=0.1,beta=0.9", n_problems=2)
    >>> round(analysis.momentum.index, 6)
    0.9
    >>> analysis = analyze("sgd:alpha=0.5", n_problems=2, gradients=[3, -1])
    >>> analysis.adaptation.adapted.gradients.tolist()
    [-1.0, 3.0]

    Args:
        optimizer: a checkpoint's name or file, a baseline such as `sgd:alpha=0.1`,
            `package.module:Object`, an `OptimizerSpec`, any object with `initial_state` and
            `step`, in float64, or an optimizer of `torch.optim` or `optax`.
        task: the task of the rollouts; the checkpoint's own if None, else `quadratic`.
        implementation: the implementation that computes a checkpoint or a baseline.
        seed: the seed of the problems.
        n_problems: the number of problems; if None 64, or as many as fit into memory.
        gradients: the constant gradients under which adaptation is measured, in any order; 200
            over the range that the optimizer meets if None.
        settings: settings of an optimizer that is named, such as `{"lr": 0.001}` of
            `torch.optim:AdamW`.
        confirm: whether to look at a learned optimizer whose mechanisms are kept for the
            confirmation of the claims, as those of all with seeds from 10 on.

    Raises:
        LoptbenchError: the optimizer is unknown, is not component-wise, breaks the protocol, fails
            or is kept; or a gradient is zero, not finite, or given twice.
    """
    return measure(
        optimizer,
        task,
        implementation=implementation,
        seed=seed,
        n_problems=n_problems,
        gradients=gradients,
        settings=settings,
        confirm=confirm,
    ).analysis


def measure(
    optimizer: AnyOptimizer,
    task: str | None = None,
    *,
    implementation: str = "reference",
    seed: int = 0,
    n_problems: int | None = None,
    gradients: Iterable[float] | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    confirm: bool = False,
) -> Measurement:
    """`analyze`, with the rollouts that the analysis was made on; same arguments and errors."""
    grid = None if gradients is None else gradient_grid(gradients)
    resolved = resolve(optimizer, settings)
    if isinstance(resolved, Checkpoint | OptimizerSpec) and not confirm:
        require_not_kept(str(optimizer) if isinstance(optimizer, str | Path) else "it", resolved)
    name = task or (resolved.task if isinstance(resolved, Checkpoint) else "quadratic")
    chosen = get_task(name)
    name = chosen.name
    require_task(oracle(), chosen)
    realized = realize(resolved, implementation)
    try:
        with redirect_stdout(sys.stderr):  # whatever the optimizer prints
            if realized is not resolved:
                with component_threads():
                    return measure_optimizer(realized, name, seed, oracle(), n_problems, grid)
            with checked(realized) as brought:
                return measure_optimizer(brought, name, seed, oracle(), n_problems, grid)
    except LoptbenchError:
        raise
    except (Exception, SystemExit) as error:
        label = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
        raise LoptbenchError(
            f"{label} failed while it was run: {type(error).__name__}: {error}; see "
            "loptbench.protocol.Optimizer for what it must offer"
        ) from error


def gradient_grid(gradients: Iterable[float | str]) -> NDArray[np.float64]:
    """The gradients of the adaptation probe, from the most negative up.

    Raises:
        LoptbenchError: there is none, or one is not a number, zero, not finite, or given twice.

    >>> gradient_grid([0.1, -3, 1]).tolist()
    [-3.0, 0.1, 1.0]
    """
    values = []
    for gradient in gradients:
        try:
            values.append(float(gradient))
        except (TypeError, ValueError) as error:
            raise LoptbenchError(f"the gradient {gradient!r} is not a number; {WANTED}") from error
    if not values:
        raise LoptbenchError(f"no gradient is given; {WANTED}")
    for value in values:
        if value == 0 or not np.isfinite(value):
            kind = "zero" if value == 0 else "not finite"
            raise LoptbenchError(f"the gradient {value:g} is {kind}; {WANTED}")
        if values.count(value) > 1:
            raise LoptbenchError(f"the gradient {value:g} is given twice; {WANTED}")
    return np.sort(values)


WANTED = "give one or more different finite numbers other than 0, such as -3,-1,-0.1,0.1,1,3"
"""What the gradients of the adaptation probe must be."""


def count_diverged(run: Trajectory) -> int:
    """The number of rollouts with a loss or final parameters that are not finite."""
    losses_are_finite = np.all(np.isfinite(run.loss), axis=0)
    ends_are_finite = np.all(np.isfinite(run.parameters[-1]), axis=1)
    return int(np.sum(~(losses_are_finite & ends_are_finite)))


def first_not_finite(run: Trajectory) -> str:
    """Where a run first holds a number that is not finite, in words; empty if it never does.

    Within a step, the order is that of the computation: loss, gradient, state, update.
    """
    n_steps, n_problems, n_parameters = run.gradient.shape
    shape = (n_steps, n_problems, n_parameters, -1)
    parts = {
        "the loss": run.loss[:, :, None, None],
        "the gradient": run.gradient[..., None],
        "state variable": run.state[1:].reshape(shape),
        "the update": run.update[..., None],
    }
    bad = {name: ~np.isfinite(values) for name, values in parts.items()}
    steps = {name: int(np.argmax(where.any(axis=(1, 2, 3)))) for name, where in bad.items()}
    found = [name for name, where in bad.items() if where.any()]
    if not found:
        return ""
    name = min(found, key=lambda part: steps[part])
    k = steps[name]
    problem, parameter, variable = map(int, np.argwhere(bad[name][k])[0])
    value = parts[name][k, problem, parameter, variable]
    label = f"{name} {variable}" if name == "state variable" else name
    of = (
        f"problem {problem}"
        if name == "the loss"
        else f"parameter {parameter} of problem {problem}"
    )
    return f"in step {k} {label} of {of} becomes {value}"
