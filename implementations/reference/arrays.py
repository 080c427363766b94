"""What the reference takes: NumPy arrays. Tensors are refused before NumPy says something else."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from loptbench.errors import require_array

Made = TypeVar("Made")
Function = TypeVar("Function", bound=Callable[..., Any])

METHODS = (
    *("step", "drive", "linearize", "gain", "pullback", "initial_state_pullback"),
    *("loss_and_gradient", "hessian_vector", "rounding_scale"),
)
"""Methods of optimizers and problems that take arrays."""

NAMES = frozenset(
    [
        *("state", "gradient", "gradients", "state_bar", "update_bar"),
        *("parameters", "vector", "initial_parameters"),
    ]
)
"""The protocol's names of their arguments that are arrays."""


def of_arrays(function: Function) -> Function:
    """The function, which refuses arguments of the protocol that are no NumPy arrays."""
    places = [
        (i, name) for i, name in enumerate(inspect.signature(function).parameters) if name in NAMES
    ]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for i, name in places:
            if i < len(args):
                require_array(args[i], f"{name!r} of {function.__name__}")
            elif name in kwargs:
                require_array(kwargs[name], f"{name!r} of {function.__name__}")
        return function(*args, **kwargs)

    return cast(Function, checked)


@functools.cache
def class_of_arrays(kind: type[Any]) -> type[Any]:
    """The class of optimizers or problems, whose methods take arrays only."""
    methods = {
        name: of_arrays(getattr(kind, name))
        for name in METHODS
        if callable(getattr(kind, name, None))
    }
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__})


def taking_arrays(made: Made) -> Made:
    """An optimizer or problems, made already, whose methods take arrays only."""
    kind: Any = type(made)
    made.__class__ = class_of_arrays(kind)
    return made
