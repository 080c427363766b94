"""Variants of momentum with a fault, each with the message that names it."""

import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from loptbench.protocol import Array
from loptbench.tests.mechanisms.brought_optimizers import (
    ALPHA,
    BETA,
    Momentum,
    doing,
    returning,
    starting,
    stepping,
    with_rate,
)


class InPlace(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        h *= BETA
        h += g[:, None]
        return h.copy(), -ALPHA * h[:, 0]


class WritesGradient(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        np.clip(g, -1, 1, out=g)
        return super().step(h, g)


class Buffers(Momentum):
    """Returns the same array at each step."""

    def __init__(self) -> None:
        self.buffers: dict[int, Array] = {}

    def step(self, h: Any, g: Any) -> Any:
        new, update = super().step(h, g)
        buffer = self.buffers.setdefault(len(g), np.empty_like(new))
        buffer[:] = new
        return buffer, update


class WritesStart(Momentum):
    """`initial_state` returns an array that `step` writes into."""

    def __init__(self) -> None:
        self.start = np.zeros((10_000, 1))

    def initial_state(self, n: int) -> Any:
        return self.start[:n]

    def step(self, h: Any, g: Any) -> Any:
        new, update = super().step(h, g)
        self.start[: len(g)] = new
        return new, update


class Remembers(Momentum):
    """A rate that falls with the number of calls, from some call on."""

    def __init__(self, first_call: int = 0) -> None:
        self.calls = -first_call

    def step(self, h: Any, g: Any) -> Any:
        self.calls += 1
        new, update = super().step(h, g)
        return new, update / max(1, self.calls)


class RemembersRun(Remembers):
    """The same, but the calls are counted from the beginning of each run."""

    def initial_state(self, n: int) -> Any:
        self.calls = 0
        return super().initial_state(n)


class HiddenMomentum:
    """The average is in the object, and the state is empty."""

    def __init__(self) -> None:
        self.m: Any = 0.0

    def initial_state(self, n: int) -> Any:
        self.m = np.zeros(n)
        return np.zeros((n, 0))

    def step(self, h: Any, g: Any) -> Any:
        self.m = BETA * np.resize(self.m, g.shape) + g
        return h, -ALPHA * self.m


class Counter:
    """Bias correction with a counter in the state; `shared` picks the counter of all components."""

    def __init__(self, shared: Callable[[Array], Any]) -> None:
        self.shared = shared

    def initial_state(self, n: int) -> Any:
        return np.zeros((n, 2))

    def step(self, h: Any, g: Any) -> Any:
        m, t = BETA * h[:, 0] + (1 - BETA) * g, self.shared(h[:, 1]) + 1
        return np.column_stack([m, h[:, 1] + 1]), -ALPHA * m / (1 - BETA**t)


class CountsInObject(Momentum):
    """The counter of bias correction is in the object, one for all components."""

    def __init__(self) -> None:
        self.t = 0

    def initial_state(self, n: int) -> Any:
        self.t = 0
        return super().initial_state(n)

    def step(self, h: Any, g: Any) -> Any:
        self.t += 1
        m = BETA * h[:, 0] + (1 - BETA) * g
        return m[:, None], -ALPHA * m / (1 - BETA**self.t)


class RoundsGradient(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        return super().step(h, g.astype(np.float32).astype(np.float64))


class RoundsState(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        new, update = super().step(h, g)
        return new.astype(np.float32).astype(np.float64), update


class RoundsUpdate(Momentum):
    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = dtype

    def step(self, h: Any, g: Any) -> Any:
        new, update = super().step(h, g)
        return new, update.astype(self.dtype).astype(np.float64)


class RoundsLargeGradients(Momentum):
    """In float32 only beyond some gradient."""

    def step(self, h: Any, g: Any) -> Any:
        return super().step(h, np.where(np.abs(g) > 3, g.astype(np.float32), g))


class RoundsInside(Momentum):
    """A network in float32 between a state and an update in float64."""

    def step(self, h: Any, g: Any) -> Any:
        rng = np.random.default_rng(0)
        weights = rng.standard_normal((300, 2)).astype(np.float32)
        inputs = np.column_stack([h[:, 0], g]).astype(np.float32)
        hidden = np.tanh(inputs @ weights.T) @ weights[:, 0]
        new, update = super().step(h, g)
        return new, update - 1e-3 * hidden


class Raises(Momentum):
    def step(self, h: Any, g: Any) -> Any:
        raise ArithmeticError("too steep")


def sets_filters() -> None:
    warnings.simplefilter("ignore")


MEMORY = "something else for the same state and gradient"
MIXES = "every component must be treated by itself"
ROUNDS = "rounded to float32"

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "writes into the state": (InPlace, "must not change the state or the gradient"),
    "writes into the gradient": (WritesGradient, "must not change the state or the gradient"),
    "returns its buffer": (Buffers, "changed by a later call"),
    "writes into the start": (WritesStart, "initial_state"),
    "remembers": (Remembers, MEMORY),
    "remembers from the 500th call on": (lambda: Remembers(500), MEMORY),
    "remembers within a run": (RemembersRun, MEMORY),
    "an average in the object": (HiddenMomentum, MEMORY),
    "a counter in the object": (CountsInObject, MEMORY),
    "the clock": (with_rate(lambda h, g: 1 + time.perf_counter()), MEMORY),
    "an own random generator": (with_rate(lambda h, g: np.random.default_rng().random()), MEMORY),
    "the first component's counter": (lambda: Counter(lambda t: t[0]), MIXES),
    "the largest counter": (lambda: Counter(np.max), MIXES),
    "the mean counter": (lambda: Counter(np.mean), MIXES),
    "the norm over components": (
        with_rate(lambda h, g: 1 / max(1.0, float(np.linalg.norm(g)))),
        MIXES,
    ),
    "the mean of more than two": (
        with_rate(lambda h, g: 1.0 if len(g) <= 2 else 1 + 1e-6 * np.tanh(np.mean(g))),
        MIXES,
    ),
    "the neighbour": (with_rate(lambda h, g: 1 + 0.1 * np.tanh(np.roll(g, 1))), MIXES),
    "the number of components": (with_rate(lambda h, g: 1 / len(g)), MIXES),
    "the position": (with_rate(lambda h, g: 1 + np.arange(len(g)) / 10), MIXES),
    "float32 gradient": (RoundsGradient, ROUNDS),
    "float32 state": (RoundsState, ROUNDS),
    "float32 update": (RoundsUpdate, ROUNDS),
    "float16 update": (lambda: RoundsUpdate(np.float16), ROUNDS),
    "float32 for large gradients": (RoundsLargeGradients, ROUNDS),
    "float32 inside": (RoundsInside, ROUNDS),
    "float32 arrays": (returning(lambda array: array.astype(np.float32)), "is in float32"),
    "longdouble arrays": (
        returning(lambda array: array.astype(np.longdouble)),
        f"is in {np.dtype(np.longdouble)}",
    ),
    "complex arrays": (returning(lambda array: array.astype(complex)), "it is complex128"),
    "object arrays": (returning(lambda array: array.astype(object)), "it is object"),
    "masked entries": (
        stepping(lambda new, update: (new, np.ma.masked_greater(update, 0.0))),
        "entries that are masked",
    ),
    "a Python number as state": (
        starting(lambda n: 0.0),
        "must be a NumPy array, but it is a float",
    ),
    "a Python number as update": (
        stepping(lambda new, update: (new, float(update[0]))),
        "must be a NumPy array, but it is a float",
    ),
    "a list as state": (starting(lambda n: [[0.0]] * n), "must be a NumPy array, but it is a list"),
    "a list as update": (
        stepping(lambda new, update: (new, list(update))),
        "must be a NumPy array, but it is a list",
    ),
    "nothing": (stepping(lambda *_: None), "the update, but it returned NoneType"),
    "three values": (stepping(lambda *two: (*two, 0)), "the update, but it returned 3 values"),
    "a state without variables": (starting(np.zeros), r"must return the shape \(1, n_state\)"),
    "one state for all": (
        starting(lambda n: np.zeros((1, 1))),
        r"must return the shape \(2, n_state\)",
    ),
    "updates as a column": (
        stepping(lambda new, update: (new, update[:, None])),
        "step must return the update in",
    ),
    "a start that is not a number": (
        starting(lambda n: np.full((n, 1), np.nan)),
        "what is not finite",
    ),
    "text": (starting(lambda n: np.full((n, 1), "a")), "must be of floating-point numbers"),
    "a start by the number of components": (
        starting(lambda n: np.full((n, 1), float(n))),
        "must be the same for every component",
    ),
    "a start by the component": (
        starting(lambda n: np.linspace(0.1, 0.5, n)[:, None]),
        "must be the same for every component",
    ),
    "integers at first": (starting(lambda n: np.zeros((n, 1), int)), "must keep its dtype"),
    "raises": (Raises, "too steep"),
    "draws from NumPy": (
        with_rate(lambda h, g: np.random.uniform(0.9, 1.1)),  # noqa: NPY002
        "state of numpy.random",
    ),
    "sets NumPy's seed": (doing(lambda: np.random.seed(0)), "state of numpy.random"),  # noqa: NPY002
    "sets Python's seed": (doing(lambda: random.seed(0)), "state of random"),
    "reads NumPy's seed": (
        with_rate(lambda h, g: 1 + cast(Any, np.random.get_state())[1][0]),  # noqa: NPY002
        "depends on the seed",
    ),
    "sets filters of warnings": (doing(sets_filters), "the filters of warnings"),
    "sets NumPy's handling of errors": (
        doing(lambda: np.seterr(all="raise")),
        "changes numpy's handling of errors",
    ),
    "ends the process": (doing(lambda: sys.exit(3)), "SystemExit"),
}
"""Faults, each with the message that names it."""
