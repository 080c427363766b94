"""The cases of the checks: optimizers whose parameters are all far from zero, and problems.

Each case must tell a wrong implementation from a right one. Its numbers are therefore unusual: no
scale is 1, no size is a power of two, no hyperparameter is the default.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.trajectories import oracle_run
from loptbench.discovery import oracle
from loptbench.optimizers import (
    ARCHITECTURES,
    SCHEDULED,
    OptimizerSpec,
    baseline,
    composed,
    get_architecture,
    random,
)
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
        task: the task, small enough for many runs of the oracle.
        batch: problems of `task`.
        full: problems of the task at its default size; `batch` if that is small enough.
        resized: problems of another size, which find sizes that are built into an implementation.
        near_minimum: parameters with a low loss on each problem of `batch`, in their shape.
    """

    optimizer: OptimizerId
    spec: OptimizerSpec
    task: Task
    batch: ProblemBatch
    full: ProblemBatch
    resized: ProblemBatch
    near_minimum: NDArray[np.float64]

    @property
    def label(self) -> str:
        """Name of the optimizer in messages."""
        return str(self.optimizer)

    @property
    def n_steps(self) -> int:
        """Inner steps of a run."""
        return self.task.n_steps


def random_case(architecture: str, n_units: int, task_name: str, seed: int) -> OptimizerSpec:
    """A random learned optimizer with the scales of a task; no constant has its default.

    Args:
        architecture: its architecture.
        n_units: its units.
        task_name: name of the task.
        seed: seed of the weights.
    """
    input_scale, output_scale = get_task(task_name).checks.scales
    constants = {
        **{name: 0.7 * value for name, value in get_architecture(architecture).constants.items()},
        "input_scale": input_scale,
        "output_scale": output_scale,
    }
    return random(architecture, n_units, seed, **constants)


def main_architecture(kinds: Collection[str]) -> str | None:
    """The architecture that stands for all in checks of what does not know the optimizer.

    >>> main_architecture({"sgd", "lstm", "gru"})
    'gru'

    Args:
        kinds: the optimizer kinds that an implementation computes.

    Returns: the first of them that is an architecture; None if none is.
    """
    return next((name for name in ARCHITECTURES if name in kinds), None)


def checked_kinds(implementation: Any) -> list[str]:
    """The kinds that an implementation computes and that the oracle can be compared with it on.

    An architecture from outside may bring no cell for the oracle.

    >>> checked_kinds(oracle())[:2]
    ['adam', 'composed']
    """
    return sorted(set(implementation.optimizers) & set(oracle().optimizers))


def default_kinds(implementation: Any) -> list[str]:
    """The kinds that are checked unless others are asked for.

    Of the kinds with a schedule, that is one for each schedule. A fault of another one alone is
    found only where that kind is named.
    """
    omitted = set(SCHEDULED) - set(WITH_SCHEDULE)
    return [kind for kind in checked_kinds(implementation) if kind not in omitted]


def has_one_unit(spec: OptimizerSpec) -> bool:
    """Whether it is a learned optimizer of one unit."""
    learned = ARCHITECTURES.get(spec.kind)
    return learned is not None and learned.n_units(spec.parameters) == 1


def cases(
    kind: str, task_name: str, seed: int, checkpoints: Mapping[str, Checkpoint] | None = None
) -> list[Case]:
    """The cases of one optimizer kind on one task.

    The scales of the random ones are not 1 and epsilon is not small, so that leaving one out shows.
    7 units are no power of two; 1 unit shows an axis that is dropped. A shipped checkpoint is
    included because trained weights are larger than random ones.

    >>> [case.label for case in cases("adam", "quadratic", seed=7)]
    ['adam']

    Args:
        kind: the optimizer kind.
        task_name: name of the task.
        seed: seed of the problems and of the random weights.
        checkpoints: learned optimizers by name; one of `quadratic` if None.

    Returns: the cases; none for a kind that is not checked on the task.
    """
    if checkpoints is None:
        checkpoints = {name: shipped(name) for name in representatives(["quadratic"])}
    specs: dict[str, OptimizerSpec] = {}
    learned: dict[str, OptimizerSpec] = {}
    if kind in ARCHITECTURES:
        specs[f"random {kind}"] = random_case(kind, 7, task_name, seed)
        if task_name == "quadratic":
            one_unit = random(kind, 1, seed, input_scale=-1.2, output_scale=0.4)
            specs[f"random {kind} of 1 unit"] = one_unit
        for name, checkpoint in checkpoints.items():
            if (checkpoint.task, checkpoint.optimizer.kind) == (task_name, kind):
                learned[name] = checkpoint.optimizer
    elif kind == "composed" and task_name == "quadratic":
        # This kind is checked for its step only, so one task is enough.
        specs[kind] = composed(0.6, (0.5, 0.8, 0.2), clip=0.5, start=0.3, decay=0.9)
    elif kind in EXAMPLES:
        alpha = get_task(task_name).checks.rate * EXAMPLES[kind]["alpha"]
        specs[kind] = baseline(kind, 0.03, N_STEPS, **{**EXAMPLES[kind], "alpha": alpha})
    task: Any = get_task(task_name)  # every task is hashable: a frozen dataclass
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
EXAMPLES |= {name: {**EXAMPLES[parts.kind], "final": 0.3} for name, parts in SCHEDULED.items()}
"""Hyperparameters of the baselines in the checks, by kind."""

N_STEPS = 113
"""The length of the run of schedules. Runs of `quadratic` are longer, and others shorter."""

WITH_SCHEDULE = ("cosine_adam", "exponential_momentum")
"""A kind with each schedule: one with a counter and a constant of its own, and one without."""


@functools.cache
def _problems(
    task: Any, seed: int
) -> tuple[Task, ProblemBatch, ProblemBatch, ProblemBatch, NDArray[np.float64]]:
    small = dataclasses.replace(task, **task.checks.small)
    resized = dataclasses.replace(task, **task.checks.resized)
    batch = small.sample("evaluate", seed, range(N_PROBLEMS))
    full = task.sample("evaluate", seed, range(N_FULL)) if task.checks.small else batch
    return (
        small,
        batch,
        full,
        resized.sample("evaluate", seed, range(9)),
        MINIMA.get(task.name, _trained)(batch),
    )


def _quadratic_minimum(batch: ProblemBatch) -> NDArray[np.float64]:
    # x* = −H⁻¹v
    H, v = batch.arrays["H"], batch.arrays["v"]
    return np.asarray(-np.linalg.solve(H, v[:, :, None])[:, :, 0])


def _rosenbrock_minimum(batch: ProblemBatch) -> NDArray[np.float64]:
    return np.ones_like(batch.initial_parameters) + 1e-7


def _trained(batch: ProblemBatch) -> NDArray[np.float64]:
    # No formula; the loss at the end of a run of Adam is low enough.
    spec = baseline("adam", alpha=0.03, beta1=0.9, beta2=0.99)
    return np.asarray(oracle_run(oracle(), spec, batch, 150).parameters[-1])


MINIMA: dict[str, Callable[[ProblemBatch], NDArray[np.float64]]] = {
    "quadratic": _quadratic_minimum,
    "rosenbrock": _rosenbrock_minimum,
}
"""The minima that have a formula."""


def in_domain(kind: str, state: NDArray[Any]) -> NDArray[Any]:
    """Map arbitrary states to states that the kind can have.

    Second moments become positive, and step counters whole numbers of at least 2.

    Args:
        kind: the optimizer kind.
        state: (n_components, n_state).
    """
    if kind in SCHEDULED:
        inner = in_domain(SCHEDULED[kind].kind, state[..., :-1])
        return np.concatenate([inner, _counter(state[..., -1:])], axis=-1)
    if kind == "rmsprop":
        return np.asarray(np.abs(state) + np.asarray(0.5, state.dtype))
    if kind == "adam":
        m, v, t = np.moveaxis(state, -1, 0)
        half = np.asarray(0.5, state.dtype)
        return np.stack([m, np.abs(v) + half, _counter(t)], axis=-1)
    return state


def _counter(t: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(2 + np.round(90 * np.abs(t)))
