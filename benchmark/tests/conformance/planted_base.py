"""Base classes of the planted faults: the reference with few tasks and kinds, or more methods."""

from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.implementations.reference.optimizers import GRU
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, OuterState, Sweep
from loptbench.rollout.trajectory import run_by_run, unroll_by_steps
from loptbench.tasks import ProblemBatch
from loptbench.training.settings import MetaTraining


class Small(Reference):
    """The reference on one task and three kinds, which finds a fault sooner."""

    optimizers: tuple[str, ...] = ("gru", "sgd", "momentum")
    tasks = ("quadratic",)


class WithGRU(Small):
    """The reference with another GRU."""

    gru: type[GRU] = GRU

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> Any:
        if spec.kind == "gru":
            return self.gru(spec)
        return super().optimizer(spec, dtype, device)


class Sweeping(Reference):
    """The reference with a `sweep` of its own, by the harness's loop."""

    def sweep(
        self,
        kind: str,
        hyperparameters: Mapping[str, Array],
        constants: Mapping[str, float],
        problems: Any,
        at: Sweep,
        n_steps: int,
    ) -> tuple[Array, Sweep]:
        return run_by_run(self, kind, hyperparameters, constants, problems, at, n_steps, "float64")


class ForLosses(Reference):
    """The reference with `unroll_losses`, by the harness's loop."""

    def unroll_losses(self, optimizer: Any, problems: Any, x0: Array, n_steps: int) -> Array:
        return unroll_by_steps(optimizer, problems, x0, n_steps).loss


class SideBySide(Reference):
    """The reference with `outer_steps`, which takes the seeds one after another."""

    def outer_steps(
        self,
        outers: Sequence[OuterState],
        spec: OptimizerSpec,
        batches: Sequence[ProblemBatch],
        config: MetaTraining,
    ) -> list[tuple[OuterState, float]]:
        return [
            self.outer_step(outer, spec, batch, config)
            for outer, batch in zip(outers, batches, strict=True)
        ]
