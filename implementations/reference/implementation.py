"""The protocol in NumPy: the oracle that every other implementation is compared with.

`loptbench.protocol` describes every method.
"""

from collections.abc import Mapping

import numpy as np

from loptbench.implementations.reference import bptt, rollout
from loptbench.implementations.reference.arrays import of_arrays, taking_arrays
from loptbench.implementations.reference.optimizers import KINDS, ReferenceOptimizer
from loptbench.implementations.reference.outer_step import initial_outer_state, outer_update
from loptbench.implementations.reference.tasks import PROBLEMS, ReferenceProblems, problems_of
from loptbench.optimizers import KindsAndBrought, OptimizerSpec, load_cell
from loptbench.protocol import Array, MetaGradient, OuterSettings, OuterState, Trajectory
from loptbench.tasks import ProblemBatch, offered_tasks


class Implementation:
    """NumPy in float64: all five levels, every derivative written by hand."""

    name = "reference"
    optimizers = KindsAndBrought("reference", *KINDS)
    dtypes = ("float64",)
    devices = ("cpu",)
    versions = ("numpy",)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those that loptbench ships, and those from outside."""
        return *PROBLEMS, *offered_tasks(self.name)

    def optimizer(self, spec: OptimizerSpec, dtype: str, device: str) -> ReferenceOptimizer:
        return taking_arrays((KINDS.get(spec.kind) or load_cell(spec.kind, self.name))(spec))

    def problems(self, batch: ProblemBatch, dtype: str, device: str) -> ReferenceProblems:
        return taking_arrays(problems_of(batch))

    @of_arrays
    def unroll(
        self,
        optimizer: ReferenceOptimizer,
        problems: ReferenceProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> Trajectory:
        return rollout.unroll(optimizer, problems, initial_parameters, n_steps)

    @of_arrays
    def meta_gradient(
        self,
        optimizer: ReferenceOptimizer,
        problems: ReferenceProblems,
        initial_parameters: Array,
        n_steps: int,
    ) -> MetaGradient:
        return MetaGradient(*bptt.meta_gradient(optimizer, problems, initial_parameters, n_steps))

    def outer_init(self, parameters: Mapping[str, Array], config: OuterSettings) -> OuterState:
        return initial_outer_state(parameters)

    def outer_step(
        self, outer: OuterState, spec: OptimizerSpec, batch: ProblemBatch, config: OuterSettings
    ) -> tuple[OuterState, float]:
        objective, gradient = self.meta_gradient(
            self.optimizer(spec.with_parameters(outer.parameters), "float64", "cpu"),
            self.problems(batch, "float64", "cpu"),
            batch.initial_parameters,
            config.n_steps,
        )
        finite = all(np.all(np.isfinite(array)) for array in gradient.values())
        mean = float(np.mean(objective)) if finite else np.nan
        return outer_update(outer, gradient, config), mean
