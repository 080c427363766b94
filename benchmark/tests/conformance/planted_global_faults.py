"""Planted faults that set, or read, what belongs to the whole process."""

import os
import random
import warnings
from typing import Any

import numpy as np

from loptbench.global_state import IMPORT_SETTINGS
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import GRU
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array
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
            return new, update * (1 + 1e-15 * (int(keys[0]) % 2**8 + 1) / 2**7)

    gru = _GRU


class ChangesThenFails(WithGRU):
    """A step sets the seed, and is wrong as well: the setting is named first."""

    class _GRU(GRU):
        def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
            random.seed(1)
            new, update = super().step(state, gradient)
            return new, -update

    gru = _GRU


GLOBAL_FAULTS: dict[type[Reference], tuple[str, str]] = {
    SilencesNumPy: ("one-step", r"^step changes numpy's handling of errors \(np.seterr\), which"),
    SilencesWarnings: ("loss-and-gradient", r"^problems changes the filters of warnings, which"),
    DrawsFromTheWorld: ("one-step", r"^step changes the seed and state of random, which"),
    SetsTheEnvironment: ("initial-state", r"^optimizer changes the environment variables, which"),
    SetsTheThreads: ("free-running", r"^unroll changes the threads of linear algebra, which"),
    ReadsTheSeed: ("step-purity", r"step returned something else under another seed of random"),
    ChangesThenFails: ("one-step", r"^step changes the seed and state of random.*; component"),
}
"""Each fails the expected check first, and the message names the call and the setting."""
