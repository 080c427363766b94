"""How well optimizers do on held-out problems."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import UnrollsLosses
from loptbench.rollout.trajectory import meta_objective, run_for_losses
from loptbench.statistics.bootstrap import Sample, over_problems
from loptbench.tasks import ProblemBatch

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One optimizer on a batch of problems.

    Attributes:
        loss: (n_steps, n_problems).
    """

    loss: Float

    @property
    def objective(self) -> Float:
        """The meta-objective of every problem; infinite where the run diverged."""
        with np.errstate(over="ignore", invalid="ignore"):
            objective = meta_objective(self.loss)
        return np.where(np.isfinite(objective), objective, np.inf)

    @property
    def n_diverged(self) -> int:
        """How many runs ended in a loss that is not finite. They are never dropped from a mean."""
        return int(np.sum(~np.all(np.isfinite(self.loss), axis=0)))

    def as_dict(self) -> dict[str, Any]:
        """Curves and numbers; the standard error is s / √n over problems.

        Curves are of the loss relative to each problem's first, as the meta-objective is.
        """
        n = self.loss.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            relative = self.loss / self.loss[0]
            return {
                "n_problems": n,
                "n_diverged": self.n_diverged,
                "objective": self.objective.tolist(),
                "objective_mean": float(np.mean(self.objective)),
                "objective_standard_error": float(np.std(self.objective, ddof=1) / np.sqrt(n)),
                "objective_median": float(np.median(self.objective)),
                "final_loss_mean": float(np.mean(self.loss[-1])),
                "final_loss_median": float(np.median(self.loss[-1])),
                "curve_mean": np.mean(relative, axis=1).tolist(),
                "curve_standard_error": (np.std(relative, axis=1, ddof=1) / np.sqrt(n)).tolist(),
            }


RUN_FLOATS = 2**25
"""About how many numbers the runs that are on record at one time hold: what bounds the memory."""


PASSING = 7
"""Of how many steps a run without a record holds as much as their record: gates and the like."""


def problems_at_once(n_state: int, batch: ProblemBatch, n_steps: int) -> int:
    """How many problems' runs, with so many steps on record, fit into the memory.

    Returns: a power of two, at least one.
    """
    of_one = (n_steps + 1) * batch.n_parameters * (n_state + 3)
    return 1 << max(0, (RUN_FLOATS // of_one).bit_length() - 1)


def evaluate(
    implementation: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_steps: int,
    dtype: str,
    device: str = "cpu",
) -> Evaluation:
    """Run an optimizer on a batch of problems, as many at once as fit into the memory."""
    on_record = PASSING if isinstance(implementation, UnrollsLosses) else n_steps
    size = problems_at_once(spec.n_state, batch, on_record)
    losses = []
    with np.errstate(all="ignore"):  # a run that blows up is a result, not a warning
        for start in range(0, batch.n_problems, size):
            part = batch.part(range(start, min(start + size, batch.n_problems)))
            losses.append(run_for_losses(implementation, spec, part, n_steps, dtype, device))
    return Evaluation(np.concatenate(losses, axis=1).astype(np.float64))


def paired_ratio(ours: Evaluation, theirs: Evaluation) -> dict[str, float | None]:
    """The ratio of mean meta-objectives, with a paired 95 % interval over problems.

    A ratio below 1 with an interval below 1: ours is better. The interval is that of
    `loptbench.statistics.bootstrap.over_problems`, and None where a run diverged.
    """
    a, b = ours.objective, theirs.objective
    ratio = float(np.mean(a) / np.mean(b))
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return {"ratio": ratio if np.isfinite(ratio) else None, "low": None, "high": None}
    interval = over_problems(Sample(a, b)).within(0.0, np.inf)
    return {"ratio": ratio, "low": interval.low, "high": interval.high}
