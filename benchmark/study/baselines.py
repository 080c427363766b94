"""The baselines of a task, evaluated once for all trials that are compared with them."""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.comparison import Comparison
from loptbench.agreement.losses import compare_losses, draw_problems
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec, optimal_momentum
from loptbench.results.schema.evaluation import Evaluation, Tuning
from loptbench.rollout.evaluation import evaluated_losses, summarize
from loptbench.rollout.held_out import ORACLE_DTYPE
from loptbench.storage.weights import weights_hash
from loptbench.tasks import ProblemBatch, Quadratic, Task
from loptbench.tuning.tuned_file import Tuned, TunedBaseline

Float = NDArray[np.float64]

THEORETICAL_MOMENTUM = "theoretical momentum"


class Baselines:
    """The baselines of one task in one implementation, evaluated when first needed."""

    def __init__(
        self, implementation: Any, task: Task, tuned: Tuned, seed: int, n_problems: int
    ) -> None:
        self.implementation, self.task, self.seed = implementation, task, seed
        self.n_problems = n_problems
        kinds = implementation.optimizers
        entries = [*tuned.of(task), *tuned.scheduled(task)]
        self.tuned = {entry.kind: entry for entry in entries if entry.kind in kinds}
        self.specs = {kind: entry.spec for kind, entry in self.tuned.items()}
        if isinstance(task, Quadratic) and "momentum" in kinds:
            self.specs[THEORETICAL_MOMENTUM] = optimal_momentum(*task.eigenvalues)

    @property
    def weights(self) -> dict[str, str]:
        """The weights hash of each baseline."""
        return {name: weights_hash(spec) for name, spec in self.specs.items()}

    @functools.cached_property
    def batch(self) -> ProblemBatch:
        """The held-out problems."""
        return self.task.sample("evaluate", self.seed, range(self.n_problems))

    @functools.cached_property
    def losses(self) -> dict[str, Float]:
        """The losses of each baseline on the held-out problems, (n_steps, n_problems)."""
        return {
            name: self.run(spec, self.n_problems, ORACLE_DTYPE) for name, spec in self.specs.items()
        }

    @functools.cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """Each baseline on the held-out problems."""
        return {name: summarize(loss) for name, loss in self.losses.items()}

    def run(
        self, spec: OptimizerSpec, n_problems: int, dtype: str, implementation: Any = None
    ) -> Float:
        """The losses of an optimizer on the first of the held-out problems.

        Args:
            spec: the optimizer.
            n_problems: the number of problems.
            dtype: the arithmetic.
            implementation: what computes it; that of the baselines if None.
        """
        batch = self.batch
        if n_problems < self.n_problems:
            batch = batch.part(range(n_problems))
        computing = implementation or self.implementation
        return evaluated_losses(computing, spec.rounded_to(dtype), batch, self.task.n_steps, dtype)

    def held_to_oracle(
        self, loss: Float, spec: OptimizerSpec, dtype: str, draw: int
    ) -> list[Comparison]:
        """A drawn sample of the losses of an optimizer beside the oracle's.

        Args:
            loss: the losses that `run` returned.
            spec: the optimizer.
            dtype: the arithmetic in which they were computed.
            draw: the seed of the draw.
        """
        drawn = draw_problems(loss.shape[1], self.task.n_parameters, draw)
        batch = self.batch.part(drawn)
        return compare_losses(oracle(), loss[:, drawn], spec, batch, dtype)


def tuning_of(entry: TunedBaseline) -> Tuning:
    """How an optimizer was tuned, as a record holds it."""
    return Tuning(
        score=entry.score,
        draw=entry.draw,
        places=dict(entry.places),
        n_draws=entry.n_draws,
        n_complete=entry.n_complete,
        n_diverged=entry.n_diverged,
        on_edge=tuple(entry.on_edge),
    )
