"""All probes on one optimizer."""

import dataclasses
from typing import Any

import numpy as np

from loptbench.mechanisms.adaptation import Adaptation, measure_adaptation
from loptbench.mechanisms.clipping import Clipping, measure_clipping
from loptbench.mechanisms.convergence import ConvergencePoint, find_convergence_point
from loptbench.mechanisms.dynamics.contract import require_optimizer
from loptbench.mechanisms.dynamics.counters import FrozenStateOptimizer, freeze_counters, full_state
from loptbench.mechanisms.momentum import Momentum, measure_momentum
from loptbench.mechanisms.schedule import Schedule, measure_schedule
from loptbench.mechanisms.values import Float, GradientStatistics, NotApplicable
from loptbench.protocol import Optimizer, Trajectory

N_STARTS = 128
N_STEPS = 201


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What the probes found; each is a measurement, or why there is none.

    Attributes:
        convergence_point: where the optimizer rests when nothing drives it.
        momentum: what the linear system there does with a gradient.
        clipping: how the answer to a gradient falls behind a straight line.
        schedule: how the answer to a small gradient changes as time goes by.
        adaptation: how a gradient that stays changes it.
        met: the gradients that it was measured with.
        typical_update: the root mean square of the updates of real runs, or None without runs.
    """

    convergence_point: ConvergencePoint | NotApplicable
    momentum: Momentum | NotApplicable
    clipping: Clipping | NotApplicable
    schedule: Schedule | NotApplicable
    adaptation: Adaptation | NotApplicable
    met: GradientStatistics
    typical_update: float | None = None

    @property
    def drift(self) -> float | None:
        """U(h*, 0) relative to the typical update; None where either is missing."""
        point = self.convergence_point
        if isinstance(point, NotApplicable) or not self.typical_update:
            return None
        if not np.isfinite(point.update):
            return None
        return point.update / self.typical_update + 0.0  # and not −0

    def as_dict(self) -> dict[str, Any]:
        """The analysis for programs: plain numbers and lists, complex ones as [real, imaginary]."""
        point = self.convergence_point
        return {
            "convergence_point": (
                point.as_dict(self.drift)
                if isinstance(point, ConvergencePoint)
                else point.as_dict()
            ),
            "momentum": self.momentum.as_dict(),
            "clipping": self.clipping.as_dict(),
            "schedule": self.schedule.as_dict(),
            "adaptation": self.adaptation.as_dict(),
        }


def analyze(
    optimizer: Optimizer,
    run: Trajectory | None = None,
    n_steps: int | None = None,
    met: GradientStatistics | None = None,
) -> Analysis:
    """Put an optimizer through every probe.

    Args:
        optimizer: any object that offers `initial_state` and `step`, and `linearize` if it can, in
            float64.
        run: its runs on a task, for the measurements that need some.
        n_steps: how long its schedule is watched; as long as the runs if None, or 201 steps.
        met: the gradients that it meets; those of `run` if None.

    Raises:
        ContractError: it does not keep to the protocol.
    """
    require_optimizer(optimizer)
    met = met or GradientStatistics.from_run(run)
    n_steps = n_steps or (len(run.loss) if run is not None else N_STEPS)
    if run is not None and not _stayed_finite(run):
        run = None  # it blew up: what it met before counts, where it went does not
    typical = None if run is None else _root_mean_square(run.update)
    schedule = measure_schedule(optimizer, met, n_steps)
    rested = (
        freeze_counters(optimizer, met.largest) if _differentiable(optimizer) else (optimizer, ())
    )
    if isinstance(rested, NotApplicable):
        clipping = measure_clipping(optimizer, None, met, run)
        return Analysis(rested, rested, clipping, schedule, rested, met, typical)
    still, held = rested
    free = still.free if isinstance(still, FrozenStateOptimizer) else slice(None)
    seen = None if run is None else run._replace(state=run.state[:, :, free])
    starts = None
    if seen is not None and _differentiable(optimizer):
        met_states = np.concatenate(list(seen.state))
        starts = met_states[np.linspace(0, len(met_states) - 1, N_STARTS).astype(int)]
    point = find_convergence_point(still, starts, met, held)
    resting = None
    if isinstance(point, ConvergencePoint):
        resting = full_state(still, point.state[None])[0]
    return Analysis(
        point,
        measure_momentum(point, seen),
        measure_clipping(optimizer, resting, met, run),
        schedule,
        measure_adaptation(still, point, met),
        met,
        typical,
    )


def _stayed_finite(run: Trajectory) -> bool:
    parts = (run.state.astype(np.float64), run.update, run.parameters)
    return all(bool(np.all(np.isfinite(part))) for part in parts)


def _root_mean_square(values: Float) -> float:
    largest = float(np.abs(values).max(initial=0.0))  # whose square may be too large a number
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0


def _differentiable(optimizer: Optimizer) -> bool:
    return np.issubdtype(np.asarray(optimizer.initial_state(1)).dtype, np.floating)
