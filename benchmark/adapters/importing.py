"""Make the optimizer that a user names as `package.module:Object`, with its settings."""

import inspect
from collections.abc import Mapping
from typing import Any

from loptbench.adapters import adapt, require_settings
from loptbench.errors import ContractError, LoptbenchError
from loptbench.importing import import_object
from loptbench.protocol import Optimizer


def import_optimizer(path: str, settings: Mapping[str, Any]) -> Optimizer:
    """Import an optimizer: one of `torch.optim` or `optax`, or any with `initial_state` and `step`.

    Args:
        path: `package.module:Object`.
        settings: what to make an imported class or function with.

    Raises:
        ContractError: the object does not offer `initial_state` and `step`.
        NotComponentWiseError: an adapted optimizer is not component-wise.
        LoptbenchError: the import fails, or it cannot be made with these settings.
    """
    imported: Any = import_object(path)
    if not hasattr(imported, "initial_state"):
        adapted = adapt(path, imported, settings)
        if adapted is not None:
            return adapted
    optimizer = instantiate(path, imported, settings) if isinstance(imported, type) else imported
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
    if settings and optimizer is imported:
        raise LoptbenchError(f"{path} is made already: {', '.join(settings)} cannot be set")
    return optimizer  # type: ignore[no-any-return]  # imported at run time


def instantiate(path: str, kind: type, settings: Mapping[str, Any]) -> Any:
    """An instance of a class with `initial_state` and `step`.

    Raises:
        LoptbenchError: it has no such setting, or cannot be made.
    """
    if settings and callable(inspect.getattr_static(kind, "__init__")):
        require_settings(path, kind, settings)
    try:
        return kind(**settings)
    except Exception as error:
        how = "with these settings" if settings else "without arguments"
        raise LoptbenchError(
            f"{path} is a class, to be called {how}, and that failed: "
            f"{type(error).__name__}: {error}; name an instance of it"
        ) from error
