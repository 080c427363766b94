"""Planted faults that set, or read, what belongs to the whole process."""

import hashlib
import os
import random
import warnings
import zlib
from typing import Any

import numpy as np

from loptbench.global_state import IMPORT_SETTINGS
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import GRU, Momentum
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, OuterState
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import Small, WithGRU


class SilencesNumPy(WithGRU):
    """A step switches NumPy's warnings off for good."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            np.seterr(all="ignore")
            return super().step(state, gradient)

    gru = _GRU


class SilencesWarnings(Small):
    """Making problems filters all warnings of the process."""

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        warnings.simplefilter("ignore")
        return super().problems(batch, dtype, device)


class DrawsFromTheWorld(WithGRU):
    """A step draws from Python's generator, and does not use the number."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            random.random()
            return super().step(state, gradient)

    gru = _GRU


class SetsTheEnvironment(Small):
    """Making an optimizer sets an environment variable."""

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        os.environ["OMP_WAIT_POLICY"] = "ACTIVE"
        return super().optimizer(spec, dtype, device)


class SetsTheThreads(Small):
    """An unroll changes the number of threads of linear algebra."""

    def unroll(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Any:
        (threads,) = (s for s in IMPORT_SETTINGS if s.name == "the threads of linear algebra")
        threads.write({library: n + 1 for library, n in threads.read().items()})
        return super().unroll(optimizer, problems, x0, n_steps)


class ReadsTheSeed(WithGRU):
    """A step depends on the state of NumPy's generator, which it does not advance."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            new, update = super().step(state, gradient)
            _, keys, *_ = np.random.get_state(legacy=True)  # noqa: NPY002
            hashed = zlib.crc32(np.asarray(keys).tobytes())
            bits = hashed >> np.arange(len(update)) % 32 & 1
            return new, update * (1 + 2e-14 * bits)

    gru = _GRU


class ChangesThenFails(WithGRU):
    """A step sets the seed, and is wrong as well: the setting is named first."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            random.seed(1)
            new, update = super().step(state, gradient)
            return new, -update

    gru = _GRU


STORED: dict[int, Any] = {}
"""The memory of `KeepsMemoryInAModule`, by a hash of the outer state."""


class KeepsMemoryInAModule(Small):
    """The outer state holds a key; what it stands for is kept in a module."""

    optimizers = ("momentum",)

    def outer_init(self, parameters: Any, config: Any) -> OuterState:
        return self._stored(super().outer_init(parameters, config))

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        forgotten = super().outer_init(outer.parameters, config).memory
        memory = STORED.get(int(outer.memory["key"]), forgotten)
        new, objective = super().outer_step(outer._replace(memory=memory), spec, batch, config)
        return self._stored(new), objective

    def _stored(self, outer: OuterState) -> OuterState:
        arrays = (*outer.parameters.values(), *outer.memory.values())
        content = b"".join(np.asarray(array).tobytes() for array in arrays)
        key = int.from_bytes(hashlib.sha256(content).digest()[:7], "big")
        STORED[key] = outer.memory
        return outer._replace(memory={"key": np.array(key)})


WARM: list[bool] = []
"""Whether `FirstStepDiffers` has taken a step in this process."""


class FirstStepDiffers(Small):
    """The first step in a process rounds differently, below every bound."""

    optimizers = ("momentum",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        return _WarmingMomentum(spec)


class _WarmingMomentum(Momentum):
    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(state, gradient)
        if not WARM:
            WARM.append(True)
            update = update * (1 + 1e-15)
        return new, update


GLOBAL_FAULTS: dict[type[Reference], tuple[str, str]] = {
    SilencesNumPy: ("one-step", r"^step changes numpy's handling of errors \(np.seterr\), which"),
    SilencesWarnings: ("loss-and-gradient", r"^problems changes the filters of warnings, which"),
    DrawsFromTheWorld: ("one-step", r"^step changes the seed and state of random, which"),
    SetsTheEnvironment: ("initial-state", r"^optimizer changes the environment variables, which"),
    SetsTheThreads: ("free-running", r"^unroll changes the threads of linear algebra, which"),
    ReadsTheSeed: ("step-purity", r"step returned something else under another seed of random"),
    KeepsMemoryInAModule: (
        "new-process",
        r"a new process returns something else for the second half of a resumed meta-training",
    ),
    FirstStepDiffers: ("new-process", r"a new process returns something else for a step: "),
    ChangesThenFails: ("one-step", r"^step changes the seed and state of random.*; component"),
}
"""Each fails the expected check first, and the message names the call and the setting."""
