"""Compiling, with an end to how many programs are held.

A compiled program takes some forty of the memory maps of its process, and Linux gives a process
65,530: a benchmark that never lets go of one compiles until the compiler dies, and Python with it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

N_HELD = 256
"""After so many programs all are let go: more than one optimizer on one task needs."""

_functions: list[Any] = []
_held = 0


def compiled(*static: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`jax.jit`, with the names of the arguments that select what is compiled."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> R:
            # JAX runs this once for each program that it compiles.
            global _held
            _held += 1
            return function(*args, **kwargs)

        jitted: Callable[P, R] = jax.jit(traced, static_argnames=static)
        _functions.append(jitted)
        return jitted

    return decorate


def make_room() -> None:
    """Let go of all programs if there are more than `N_HELD`; those in use are compiled again."""
    global _held
    if _held > N_HELD:
        for function in _functions:
            function.clear_cache()
        _held = 0
