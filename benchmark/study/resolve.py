"""Find the optimizer that a user names."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loptbench.adapters import adapt, parse_named
from loptbench.adapters.importing import import_optimizer
from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError
from loptbench.importing import looks_like_path
from loptbench.optimizers import (
    BASELINES,
    HYPERPARAMETERS,
    KINDS,
    SCHEDULED,
    SCHEDULES,
    OptimizerSpec,
    baseline,
    why_not_offered,
)
from loptbench.protocol import Optimizer
from loptbench.storage.weights import Checkpoint
from loptbench.zoo.catalogue import names
from loptbench.zoo.loading import load

AnyOptimizer = str | Path | Checkpoint | OptimizerSpec | Optimizer | Any
"""A name or a path (see `resolve`), a checkpoint, a specification, an object with `initial_state`
and `step`, or an optimizer of another library."""


NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


def resolve(
    optimizer: AnyOptimizer, settings: Mapping[str, Any] = NO_SETTINGS
) -> Checkpoint | OptimizerSpec | Optimizer:
    """The optimizer that a name stands for.

    A checkpoint, a specification, and an object with `initial_state` and `step` are returned as
    they are. An optimizer of `torch.optim` or `optax` is adapted; see `loptbench.adapters`.

    >>> resolve("momentum:alpha=0.1,beta=0.9").kind
    'momentum'
    >>> resolve("momentum", {"alpha": 0.1, "beta": 0.9}).kind
    'momentum'

    Args:
        optimizer: the name of a shipped checkpoint, a checkpoint file, a baseline with its
            hyperparameters, or `package.module:Object`, such as `optax:lion(learning_rate=1e-4)`.
        settings: hyperparameters of a baseline, or what to make an imported class or function with,
            beside those in the name.

    Raises:
        WeightsError: the checkpoint file does not exist or is damaged.
        ContractError: the object does not offer `initial_state` and `step`.
        NotComponentWiseError: an adapted optimizer is not component-wise.
        LoptbenchError: a hyperparameter is missing or wrong, or the import fails.
    """
    if isinstance(optimizer, str):
        prefix, colon, arguments = optimizer.partition(":")
        if prefix in KINDS and (colon or settings):
            given = [arguments] if arguments else []
            text = ",".join([*given, *(f"{name}={value}" for name, value in settings.items())])
            return _parse_baseline(prefix, text)
        is_name = optimizer not in names() and not Path(optimizer).exists()
        if is_name and optimizer in HYPERPARAMETERS:
            example = _example(optimizer)
            raise LoptbenchError(
                f"the baseline {optimizer!r} needs its hyperparameters: give {optimizer}:{example}"
            )
        if colon and is_name and not _is_path_of_file(optimizer.partition("(")[0]):
            path, own = parse_named(optimizer)
            if "=" in path:
                kinds = ", ".join(sorted(BASELINES))
                raise LoptbenchError(
                    f"no baseline {prefix!r}; there are {kinds}, and each of them after "
                    f"{' or '.join(f'{name}_' for name in SCHEDULES)}"
                )
            return import_optimizer(path, {**own, **settings})
    if settings:
        raise LoptbenchError(
            f"{optimizer} has no settings: {', '.join(settings)} cannot be set; baselines have, "
            "and what is imported as package.module:Object"
        )
    if isinstance(optimizer, str | Path):
        return load(optimizer)
    if isinstance(optimizer, Checkpoint | OptimizerSpec) or hasattr(optimizer, "initial_state"):
        return optimizer
    return adapt(type(optimizer).__name__, optimizer, {}) or optimizer


def _is_path_of_file(name: str) -> bool:
    """Whether a name with a colon is a path, as those of Windows are that begin with `C:`."""
    return looks_like_path(name) and Path(name.rpartition(":")[0]).suffix != ".py"


def realize(
    resolved: Checkpoint | OptimizerSpec | Optimizer, implementation: str, dtype: str = "float64"
) -> Optimizer:
    """The optimizer itself: a checkpoint or specification as `implementation` computes it.

    Raises:
        LoptbenchError: the implementation does not compute this kind of optimizer, or not in
            `dtype`.
    """
    spec = resolved.optimizer if isinstance(resolved, Checkpoint) else resolved
    if not isinstance(spec, OptimizerSpec):
        return spec
    computing = get_implementation(implementation)
    if spec.kind not in computing.optimizers or dtype not in computing.dtypes:
        why = why_not_offered(spec.kind, implementation)
        raise LoptbenchError(f"{implementation} does not compute {spec.kind!r} in {dtype}{why}")
    optimizer: Optimizer = computing.optimizer(spec.rounded_to(dtype), dtype, "cpu")
    return optimizer


def _arguments(kind: str) -> list[str]:
    """The hyperparameters of a baseline, and the length of the run if it has a schedule."""
    return [*HYPERPARAMETERS[kind], *(["n_steps"] if kind in SCHEDULED else [])]


def _example(kind: str) -> str:
    """Arguments of a baseline, as text."""
    values = {"n_steps": "200"}
    return ",".join(f"{name}={values.get(name, '0.1')}" for name in _arguments(kind))


def _parse_baseline(kind: str, text: str) -> OptimizerSpec:
    """A baseline from text such as `alpha=0.1,beta=0.9`."""
    if kind not in HYPERPARAMETERS:
        raise LoptbenchError(f"{kind!r} has no hyperparameters; give a checkpoint file")
    required, example = sorted(_arguments(kind)), _example(kind)
    try:
        pairs = [(k, float(v)) for k, v in (pair.split("=") for pair in text.split(","))]
    except ValueError:
        raise LoptbenchError(f"{text!r} is not of the form {example}") from None
    if sorted(name for name, _ in pairs) != required:
        raise LoptbenchError(f"{kind} takes {', '.join(required)}: give {kind}:{example}")
    return baseline(kind, **dict(pairs))
