"""Right implementations that round differently pass at full size and where runs diverge."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from loptbench.conformance import CheckStatus, check_all
from loptbench.implementations.reference.optimizers import GRU
from loptbench.implementations.reference.outer_step import initial_outer_state, outer_update
from loptbench.implementations.reference.tasks.quadratic import QuadraticProblems
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, OuterState
from loptbench.tasks import ProblemBatch
from loptbench.tests.conformance.planted_base import ForLosses, Small

pytestmark = pytest.mark.harness

CHECKS = (
    "extreme-gradients",
    "divergence",
    "full-size-step",
    "full-size-evaluation",
    "full-size-run",
    "full-size-losses",
    "full-size-meta-gradient",
)


class _BackwardsGRU(GRU):
    """Its units are in the reverse order, so that every sum over them is."""

    def __init__(self, spec: OptimizerSpec) -> None:
        super().__init__(spec)
        for name, array in self.p.items():
            self.p[name] = np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        new, update = super().step(np.ascontiguousarray(state[:, ::-1]), gradient)
        return np.ascontiguousarray(new[:, ::-1]), update

    def initial_state(self, n_components: int) -> Array:
        return np.ascontiguousarray(super().initial_state(n_components)[:, ::-1])


class SumsBackwards(Small, ForLosses):
    """Sums over units and parameters are made in the reverse order."""

    optimizers = ("gru", "momentum")
    meta_gradient = None  # type: ignore[assignment]
    outer_init = None  # type: ignore[assignment]
    outer_step = None  # type: ignore[assignment]

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        if spec.kind == "gru":
            return _BackwardsGRU(spec)
        return super().optimizer(spec, dtype, device)

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        return _BackwardsQuadratic(batch)


class _BackwardsQuadratic(QuadraticProblems):
    def __init__(self, batch: ProblemBatch) -> None:
        backwards = {"H": batch.arrays["H"][:, ::-1, ::-1], "v": batch.arrays["v"][:, ::-1]}
        super().__init__(dataclasses.replace(batch, arrays={**batch.arrays, **backwards}))

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        loss, gradient = super().loss_and_gradient(parameters[:, ::-1], step)
        return loss, np.ascontiguousarray(gradient[:, ::-1])


class SinglePrecision(Small, ForLosses):
    """Everything is computed in float32."""

    dtypes = ("float32",)
    optimizers = ("gru",)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        gru = GRU(spec)
        gru.p = {name: array.astype(np.float32) for name, array in gru.p.items()}
        return gru

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> Any:
        problems = QuadraticProblems(batch)
        for name in ("H", "v", "c"):
            setattr(problems, name, getattr(problems, name).astype(np.float32))
        return problems

    def outer_init(self, parameters: Any, config: Any) -> OuterState:
        return _single(initial_outer_state(parameters))

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: Any
    ) -> tuple[OuterState, float]:
        objective, gradient = self.meta_gradient(
            self.optimizer(spec.with_parameters(outer.parameters), "float32", "cpu"),
            self.problems(batch, "float32", "cpu"),
            batch.initial_parameters.astype(np.float32),
            config.n_steps,
        )
        return _single(outer_update(outer, gradient, config)), float(np.mean(objective))


def _single(outer: OuterState) -> OuterState:
    def rounded(arrays: Any) -> Any:
        return {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    t = {"t": outer.memory["t"]}
    return OuterState(rounded(outer.parameters), rounded(outer.memory) | t)


@pytest.mark.parametrize("port", [SumsBackwards, SinglePrecision], ids=lambda port: port.__name__)
def test_accepts(port: type[Small]) -> None:
    outcomes = list(check_all(port(), only=CHECKS))
    failed = [outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED]
    assert not failed, failed[0].message
    passed = {outcome.check.name for outcome in outcomes if outcome.status is CheckStatus.PASSED}
    not_offered = {"full-size-meta-gradient"} if port is SumsBackwards else set()
    assert passed == set(CHECKS) - not_offered


@pytest.mark.parametrize("kind", ["adam", "composed", "momentum", "nesterov", "rmsprop", "sgd"])
def test_accepts_a_port_of_one_kind(kind: str) -> None:
    """Where there is no GRU, the kind itself is checked at full size, and nothing cancels."""

    class OneKind(Small):
        optimizers = (kind,)

    outcomes = list(check_all(OneKind(), only=["full-size-meta-gradient", "outer-sizes"]))
    assert {outcome.status for outcome in outcomes} == {CheckStatus.PASSED}


def test_accepts_training_in_single_precision() -> None:
    """float32 throughout, also where a batch is large and a run is long."""
    names = ("outer-sizes", "outer-many-steps", "outer-steps", "meta-gradient")
    outcomes = list(check_all(SinglePrecision(), only=names))
    failed = [outcome for outcome in outcomes if outcome.status is CheckStatus.FAILED]
    assert not failed, failed[0].message
