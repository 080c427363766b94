"""`jax.jit` with a bound on the number of compiled programs that are held.

A compiled program takes about forty memory maps of its process, and Linux allows 65,530: a process
that never releases a program compiles until the compiler, and with it Python, crashes.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

MAX_HELD = 256
"""Number of held programs beyond which all are released; one optimizer on one task needs fewer."""

_functions: list[Any] = []
_n_held = 0


def compiled(*static: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: `jax.jit` with these names of static arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> R:
            # JAX runs this once for each program that it compiles.
            global _n_held
            _n_held += 1
            return function(*args, **kwargs)

        jitted: Callable[P, R] = jax.jit(traced, static_argnames=static)
        _functions.append(jitted)
        return jitted

    return decorate


def make_room() -> None:
    """Release all programs if there are more than `MAX_HELD`; those in use are compiled again."""
    global _n_held
    if _n_held > MAX_HELD:
        for function in _functions:
            function.clear_cache()
        _n_held = 0
