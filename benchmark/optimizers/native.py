"""Optimizers of the protocol as optimizers of the frameworks, to train a model of one's own.

A framework registers a function for this under the entry-point group `loptbench.native`.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from loptbench.errors import LoptbenchError, NotInstalledError

GROUP = "loptbench.native"


def maker(name: str) -> Callable[..., Any]:
    """The function that makes an optimizer of a framework from an `OptimizerSpec`.

    Args:
        name: `torch` or `optax`.

    Raises:
        NotInstalledError: the framework is not installed.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        raise LoptbenchError(f"nothing makes optimizers of {name}; install loptbench anew")
    try:
        made: Callable[..., Any] = points[0].load()
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"an optimizer of {name} needs {error.name!r}, not installed: "
            f"pip install 'loptbench[{name}]'"
        ) from error
    return made
