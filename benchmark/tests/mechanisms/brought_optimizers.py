"""Optimizers as users may bring them: in unusual forms but right, or with a fault.

All are variants of momentum, h' = 0.9 h + g, Δ = −0.1 h', whose momentum index is 0.9.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from loptbench.protocol import Array, Linearization

BETA, ALPHA = 0.9, 0.1


class Momentum:
    """Momentum, for others to change."""

    def initial_state(self, n: int) -> Any:
        return np.zeros((n, 1))

    def step(self, h: Any, g: Any) -> Any:
        m = BETA * h + g[:, None]
        return m, -ALPHA * m[:, 0]


class WithLinearize(Momentum):
    """Momentum with its Jacobians."""

    def linearize(self, h: Array, g: Array) -> Any:
        n = len(g)
        return Linearization(
            np.full((n, 1, 1), BETA),
            np.ones((n, 1)),
            np.full((n, 1), -ALPHA * BETA),
            np.full(n, -ALPHA),
        )


def returning(convert: Callable[[Array], Any]) -> type[Momentum]:
    """Momentum that returns its arrays in another form."""

    class Returning(Momentum):
        def initial_state(self, n: int) -> Any:
            return convert(super().initial_state(n))

        def step(self, h: Any, g: Any) -> Any:
            new, update = super().step(np.asarray(h), np.asarray(g))
            return convert(new), convert(update)

    return Returning


def doing(action: Callable[[], object]) -> type[Momentum]:
    """Momentum that does something else as well when it steps."""

    class Doing(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            action()
            return super().step(h, g)

    return Doing


def with_rate(rate: Callable[[Array, Array], Any]) -> type[Momentum]:
    """Momentum whose update is multiplied by something: rate(h, g)."""

    class WithRate(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            new, update = super().step(h, g)
            return new, update * rate(h, g)

    return WithRate


def starting(start: Callable[[int], Any]) -> type[Momentum]:
    """Momentum with another initial state."""

    class Starting(Momentum):
        def initial_state(self, n: int) -> Any:
            return start(n)

    return Starting


def stepping(change: Callable[[Any, Any], Any]) -> type[Momentum]:
    """Momentum whose step returns something else: change(new state, update)."""

    class Stepping(Momentum):
        def step(self, h: Any, g: Any) -> Any:
            return change(*super().step(h, g))

    return Stepping


def read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def strided(array: Array) -> Array:
    return np.repeat(array, 2, axis=0)[::2]


class Subclass(np.ndarray):
    """A subclass of NumPy's array."""


class BroadcastStart(Momentum):
    def initial_state(self, n: int) -> Any:
        return np.broadcast_to(0.0, (n, 1))


class SameStart(Momentum):
    """Returns one and the same array each time, and never writes into it."""

    start = np.zeros((10_000, 1))

    def initial_state(self, n: int) -> Any:
        return self.start[:n]


class CountsCalls(Momentum):
    """Remembers something that changes no number."""

    calls = 0

    def step(self, h: Any, g: Any) -> Any:
        self.calls += 1
        return super().step(h, g)


class Listed(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        return list(super().step(h, g))


class Imports(Momentum):
    """Imports a package when it first steps, which may change the filters of warnings."""

    def step(self, h: Any, g: Any) -> Any:
        import scipy.signal

        return scipy.signal.lfilter([1.0], [1.0], BETA * h + g[:, None], axis=1), -ALPHA * (
            BETA * h[:, 0] + g
        )


RIGHT: dict[str, Callable[[], Any]] = {
    "plain": Momentum,
    "with linearize": WithLinearize,
    "read-only arrays": returning(read_only),
    "Fortran order": returning(np.asfortranarray),
    "not contiguous": returning(strided),
    "a subclass of ndarray": returning(lambda array: array.view(Subclass)),
    "masked arrays without a mask": returning(np.ma.array),
    "the other byte order": returning(lambda array: array.astype(array.dtype.newbyteorder())),
    "a broadcast start": BroadcastStart,
    "the same start each time": SameStart,
    "a list of two": Listed,
    "prints": doing(lambda: print("step")),
    "warns": doing(lambda: warnings.warn("step", stacklevel=1)),
    "a generator of its own": doing(lambda: np.random.default_rng().random()),
    "counts its calls": CountsCalls,
    "imports late": Imports,
}
"""Forms in which momentum is measured right."""
