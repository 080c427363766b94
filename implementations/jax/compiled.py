"""`jax.jit` with a bound on the number of compiled programs in memory, and the time it takes.

A compiled program takes about forty memory maps of its process, and Linux allows 65,530. In a
process that never releases a program, the compiler finally crashes, and Python with it.
"""

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

MAX_PROGRAMS = 600
"""Largest number of compiled programs in memory: 24,000 memory maps. The checks of everything need
about 520, and go through all optimizers several times."""

COMPILATION_EVENTS = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
"""What JAX calls the parts of a compilation: tracing, lowering, and compiling or reading a program
from the cache."""

_functions: list[Any] = []
_n_programs = 0


def compiled(
    *static: str, donated: tuple[str, ...] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: `jax.jit` with these names of static arguments.

    Args:
        static: the names of the arguments that a program is compiled for.
        donated: those whose memory the results may take.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> R:
            # JAX runs this once for each program that it compiles.
            global _n_programs
            _n_programs += 1
            return function(*args, **kwargs)

        jitted: Callable[P, R] = jax.jit(traced, static_argnames=static, donate_argnames=donated)
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


class Stopwatch:
    """Adds up durations that JAX reports as they end, those within others only once.

    Tracing a program that calls a compiled function reports both, the inner one first.

    >>> stopwatch = Stopwatch()
    >>> stopwatch.add(2.0, end=5.0)
    >>> stopwatch.add(4.0, end=6.0)  # from 2 to 6; the first was from 3 to 5
    >>> stopwatch.seconds
    4.0
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._outermost: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def add(self, duration: float, end: float) -> None:
        """Add a duration that has just ended.

        Args:
            duration: in seconds.
            end: when it ended, in seconds of any clock.
        """
        with self._lock:
            while self._outermost and self._outermost[-1][0] >= end - duration:
                self.seconds -= self._outermost.pop()[1]
            self._outermost.append((end - duration, duration))
            self.seconds += duration


_compilation = Stopwatch()


def compilation_seconds() -> float:
    """The seconds that this process has spent on compiling programs of JAX so far."""
    return _compilation.seconds


def _note(event: str, duration_secs: float, **_: Any) -> None:
    if event in COMPILATION_EVENTS:
        _compilation.add(duration_secs, time.monotonic())


jax.monitoring.register_event_duration_secs_listener(_note)
