"""The statistics that claims are about: one number of one checkpoint each.

The mechanisms are defined in `loptbench.mechanisms`. Besides them:

    ratio_to_…         mean meta-objective over that of the baseline, on the same problems
    starts_at_point    share of the other starts that reach the convergence point
    saturation_reach   largest gradient of real runs over half-saturation at h*
    engagement         share of the gradients of real runs that lie beyond half-saturation at h*
    adaptation_…       of the two signs of the gradient, the one whose rate falls less
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from loptbench.claims.evidence import Evidence
from loptbench.optimizers import optimal_momentum
from loptbench.results.frames import best_baselines
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.statistics.bootstrap import Interval, Sample, over_problems
from loptbench.tasks import TASKS, Quadratic


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The value of a statistic for one checkpoint.

    Attributes:
        value: the number; infinite if a run diverged.
        sample: its parts, by problem; None if it does not depend on the problems.
    """

    value: float
    sample: Sample | None = None

    @classmethod
    def of(cls, sample: Sample) -> "Estimate":
        """The value of a ratio of means over problems."""
        return cls(sample.value, sample)

    @property
    def interval(self) -> Interval:
        """Its 95 % interval over problems; the number itself if it does not depend on them."""
        if self.sample is None or not np.isfinite(self.value):
            return Interval(self.value, self.value, self.value)
        return over_problems(self.sample)


Answer = Estimate | NotApplicable


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number that claims can be about.

    Attributes:
        words: what it is called in tables and figures.
        estimate: its value for a checkpoint, or why there is none.
        least: its smallest possible value; a bootstrap interval does not know of it.
        most: its largest possible value.
    """

    words: str
    estimate: Callable[[Evidence], Answer]
    least: float = -math.inf
    most: float = math.inf


def _ratio_to(evidence: Evidence, baseline: str) -> Answer:
    """The mean meta-objective over that of a tuned baseline."""
    baseline_objective = evidence.of_problems("objective", baseline)
    if not baseline_objective.size:
        return NotApplicable(not_applicable=f"{baseline} has not been tuned on {evidence.task}")
    learned_objective = evidence.of_problems("objective")
    if not np.all(np.isfinite(learned_objective)):
        return Estimate(math.inf)
    if not np.all(np.isfinite(baseline_objective)):
        return NotApplicable(not_applicable=f"runs of tuned {baseline} diverged")
    return Estimate.of(Sample(learned_objective, baseline_objective))


def _ratio_to_best(evidence: Evidence) -> Answer:
    best = best_baselines(evidence.evaluations)
    if best.empty:
        return NotApplicable(not_applicable=f"no baseline has been tuned on {evidence.task}")
    (baseline,) = best["optimizer"]
    return _ratio_to(evidence, baseline)


def _number_of(probe: str, quantity: str, minus: float = 0.0) -> Callable[[Evidence], Answer]:
    """A quantity that a probe measures.

    If it has a value for each sign of the gradient, the larger one counts: a claim that bounds
    it from above then holds for both.

    Args:
        probe: the probe.
        quantity: the quantity.
        minus: what is subtracted.
    """

    def estimate(evidence: Evidence) -> Answer:
        values, reason = evidence.of_probe(probe, quantity)
        return (
            NotApplicable(not_applicable=reason)
            if reason
            else Estimate(float(values.max()) - minus)
        )

    return estimate


def _starts_at_point(evidence: Evidence) -> Answer:
    (n_starts,), reason = evidence.of_probe("convergence_point", "other_starts")
    if reason:
        return Estimate(0.0)  # there is no point, so no start leads there
    if n_starts == 0:
        return NotApplicable(not_applicable="no other starts: its runs blew up")
    (n_at_point,), _ = evidence.of_probe("convergence_point", "other_starts_at_this_point")
    return Estimate(float(n_at_point / n_starts))


def _r2_near(evidence: Evidence) -> Answer:
    """1 − Σ error / Σ variation, over problems, in the second half of real runs."""
    _, reason = evidence.of_probe("momentum", "r2_near_convergence")
    variation = evidence.of_problems("linear_variation")
    if not variation.size:
        return NotApplicable(not_applicable=reason)
    return Estimate.of(Sample(variation - evidence.of_problems("linear_error"), variation))


def _engagement(evidence: Evidence) -> Answer:
    share = evidence.of_problems("engagement")
    _, reason = evidence.of_probe("clipping", "engagement")
    if reason or not share.size:
        return NotApplicable(not_applicable=reason or "engagement was not measured by problem")
    return Estimate.of(Sample(share, np.ones_like(share)))


def _index_minus_tuned(evidence: Evidence) -> Answer:
    rows = evidence.tuning
    tuned = rows[(rows["baseline"] == "momentum") & (rows["hyperparameter"] == "beta")]["value"]
    if tuned.empty:
        return NotApplicable(not_applicable="momentum has not been tuned")
    return _number_of("momentum", "index", minus=float(tuned.iloc[0]))(evidence)


OPTIMAL_BETA = float(optimal_momentum(*Quadratic().eigenvalues).parameters["beta"])
"""The momentum of the heavy-ball method that converges fastest on the task `quadratic`."""

LAST_STEP = max(task.n_steps for task in TASKS.values()) - 1.0
"""The last step of the longest run, from 0."""

STATISTICS = {
    "ratio_to_sgd": Statistic(
        "meta-objective / that of gradient descent",
        lambda evidence: _ratio_to(evidence, "sgd"),
        least=0.0,
    ),
    "ratio_to_best_baseline": Statistic(
        "meta-objective / the best baseline's", _ratio_to_best, least=0.0
    ),
    "starts_at_point": Statistic(
        "share of starts that reach the point", _starts_at_point, least=0.0, most=1.0
    ),
    "r2_near": Statistic("R² near the convergence point", _r2_near, most=1.0),
    "momentum_index": Statistic("momentum index", _number_of("momentum", "index")),
    "index_minus_theory": Statistic(
        "momentum index − optimal β", _number_of("momentum", "index", minus=OPTIMAL_BETA)
    ),
    "index_minus_tuned": Statistic("momentum index − tuned β", _index_minus_tuned),
    "saturation_reach": Statistic(
        "largest gradient / half-saturation", _number_of("clipping", "reach"), least=0.0
    ),
    "engagement": Statistic(
        "share of gradients beyond half-saturation", _engagement, least=0.0, most=1.0
    ),
    "peak_over_first": Statistic(
        "highest rate / first", _number_of("schedule", "peak_over_first"), least=1.0
    ),
    "peak_step": Statistic(
        "step of the highest rate",
        _number_of("schedule", "peak_step"),
        least=0.0,
        most=LAST_STEP,
    ),
    "last_over_peak": Statistic(
        "last rate / highest", _number_of("schedule", "last_over_peak"), least=0.0, most=1.0
    ),
    "lowest_over_highest": Statistic(
        "lowest rate / highest", _number_of("schedule", "lowest_over_highest"), least=0.0, most=1.0
    ),
    "adaptation_rank": Statistic(
        "rank correlation of rate and |g|",
        _number_of("adaptation", "rank_correlation"),
        least=-1.0,
        most=1.0,
    ),
    "adaptation_elasticity": Statistic(
        "elasticity, d ln η / d ln |g|", _number_of("adaptation", "elasticity")
    ),
}
"""Every statistic, by the name that claims use."""
