"""`jax.jit` with a bound on the number of compiled programs in memory.

A compiled program takes about forty memory maps of its process, and Linux allows 65,530. In a
process that never releases a program, the compiler finally crashes, and Python with it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

MAX_PROGRAMS = 256
"""Largest number of compiled programs in memory; one optimizer on one task needs fewer."""

_functions: list[Any] = []
_n_programs = 0


def compiled(*static: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: `jax.jit` with these names of static arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> R:
            # JAX runs this once for each program that it compiles.
            global _n_programs
            _n_programs += 1
            return function(*args, **kwargs)

        jitted: Callable[P, R] = jax.jit(traced, static_argnames=static)
        _functions.append(jitted)
        return jitted

    return decorate


def make_room() -> None:
    """Release all programs if there are more than `MAX_PROGRAMS`; the next calls compile again."""
    global _n_programs
    if _n_programs > MAX_PROGRAMS:
        for function in _functions:
            function.clear_cache()
        _n_programs = 0
