"""Find the optimizer that a user names."""

from pathlib import Path
from typing import Any

from loptbench.discovery import get_implementation
from loptbench.errors import ContractError, LoptbenchError
from loptbench.importing import import_object
from loptbench.optimizers import BASELINES, KINDS, OptimizerSpec, baseline, why_not_offered
from loptbench.protocol import Optimizer
from loptbench.storage.weights import Checkpoint
from loptbench.zoo.catalogue import names
from loptbench.zoo.loading import load

AnyOptimizer = str | Path | Checkpoint | OptimizerSpec | Optimizer
"""A name or a path (see `resolve`), a checkpoint, a specification, or an object with
`initial_state` and `step`."""


def resolve(optimizer: AnyOptimizer) -> Checkpoint | OptimizerSpec | Optimizer:
    """The optimizer that a name stands for; anything but a name is returned as it is.

    >>> resolve("momentum:alpha=0.1,beta=0.9").kind
    'momentum'

    Args:
        optimizer: the name of a shipped checkpoint, a checkpoint file, a baseline with its
            hyperparameters, or `package.module:Object`.

    Raises:
        WeightsError: the checkpoint file does not exist or is damaged.
        ContractError: the object does not offer `initial_state` and `step`.
        LoptbenchError: a hyperparameter is missing or wrong, or the import fails.
    """
    if not isinstance(optimizer, str):
        return load(optimizer) if isinstance(optimizer, Path) else optimizer
    prefix, colon, arguments = optimizer.partition(":")
    if optimizer in names():
        return load(optimizer)
    if colon and prefix in KINDS:
        return _parse_baseline(prefix, arguments)
    if colon and not Path(optimizer).exists():
        if "=" in arguments:
            kinds = ", ".join(sorted(BASELINES))
            raise LoptbenchError(f"no baseline {prefix!r}; there are {kinds}")
        return _import_optimizer(optimizer)
    return load(optimizer)


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


def _import_optimizer(path: str) -> Optimizer:
    imported: Any = import_object(path)
    optimizer = _instantiate(path, imported) if isinstance(imported, type) else imported
    missing = [
        method
        for method in ("initial_state", "step")
        if not callable(getattr(optimizer, method, None))
    ]
    if missing:
        raise ContractError(
            f"{path} is not an optimizer: it has no {' and no '.join(missing)}; "
            "see loptbench.protocol.Optimizer"
        )
    return optimizer  # type: ignore[no-any-return]  # imported at run time


def _instantiate(path: str, kind: type) -> Any:
    try:
        return kind()
    except Exception as error:
        raise LoptbenchError(
            f"{path} is a class, to be called without arguments, and that failed: "
            f"{type(error).__name__}: {error}; name an instance of it"
        ) from error


def _parse_baseline(kind: str, text: str) -> OptimizerSpec:
    """A baseline from text such as `alpha=0.1,beta=0.9`."""
    if kind not in BASELINES:
        raise LoptbenchError(f"{kind!r} has no hyperparameters; give a checkpoint file")
    required = sorted(BASELINES[kind])
    example = ",".join(f"{name}=0.1" for name in required)
    try:
        pairs = [(k, float(v)) for k, v in (pair.split("=") for pair in text.split(","))]
    except ValueError:
        raise LoptbenchError(f"{text!r} is not of the form {example}") from None
    if sorted(name for name, _ in pairs) != required:
        raise LoptbenchError(f"{kind} takes {', '.join(required)}: give {kind}:{example}")
    return baseline(kind, **dict(pairs))
