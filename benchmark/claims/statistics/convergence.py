"""Statistics of convergence: one point, and linear dynamics near it.

share_at_point         share of the states met on real runs that end near h*, without gradients
r2_of_linear_system    R² of the updates that the linear system at h* predicts
"""

import dataclasses

import numpy as np

from loptbench.claims.evidence import Evidence, Floats
from loptbench.claims.statistics.estimate import (
    Answer,
    Estimate,
    Family,
    Later,
    Statistic,
    not_applicable,
)
from loptbench.statistics.bootstrap import N_RESAMPLES, Interval, OfProblems, Sample
from loptbench.statistics.ratios import MedianRatio

PROBE = "convergence_point"
QUANTITIES = {"h0": "share_at_point", "own": "share_nearer", "exact": "other_starts_at_this_point"}
"""The quantity that is measured by what is near: 1 % of ‖h0 − h*‖, 1 % of a start's own distance,
or a millionth."""


def _share_at_point(distance: str, after: str) -> Statistic:
    if distance == "exact" and after != "20T":
        raise ValueError("exact arrival is measured after 20T steps")

    def estimate(evidence: Evidence) -> Answer:
        (n_starts,), reason = evidence.of_probe(PROBE, "other_starts")
        if reason:
            return Estimate(0.0)  # there is no point, so no start leads there
        if n_starts == 0:
            return not_applicable("no other starts: its runs blew up")
        horizon = "" if distance == "exact" else after
        (value,), reason = evidence.of_probe(PROBE, QUANTITIES[distance], horizon)
        if reason:
            return not_applicable(reason)
        if distance == "exact":
            return Estimate(float(value / n_starts))
        if after == "20T":
            return Estimate(float(value))
        (later,), _ = evidence.of_probe(PROBE, QUANTITIES[distance], "20T")
        return Estimate(float(value), later=Later(float(later), "20 T steps"))

    words = "to a millionth" if distance == "exact" else f"after {after.replace('T', ' T')} steps"
    return Statistic(f"share of starts that reach the point, {words}", estimate, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class MedianR2:
    """The median over problems of R² = 1 − error / variation, as `OfProblems`.

    Attributes:
        ratio: the median of error / variation.

    >>> round(MedianR2(MedianRatio(np.array([1.0, 2.0, 3.0]), np.full(3, 10.0))).value, 3)
    0.8
    """

    ratio: MedianRatio

    @property
    def n_problems(self) -> int:
        """The number of problems."""
        return self.ratio.n_problems

    @property
    def value(self) -> float:
        """The median of R²."""
        return 1.0 - self.ratio.value

    def of_resamples(self, counts: Floats) -> Floats:
        """See `OfProblems`."""
        return np.asarray(1.0 - self.ratio.of_resamples(counts))

    def leaving_one_out(self) -> Floats:
        """See `OfProblems`."""
        return np.asarray(1.0 - self.ratio.leaving_one_out())

    def interval(self, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
        """See `OfProblems`."""
        of_ratio = self.ratio.interval(n_resamples, seed)
        return Interval(self.value, 1.0 - of_ratio.high, 1.0 - of_ratio.low)


STEPS = {
    "last": ("_last", "r2_last", "last T of 5 T steps"),
    "second_half": ("", "r2_near_convergence", "second half of runs"),
    "whole": ("_whole", "r2_whole_run", "whole runs"),
}
"""The steps, by the ending of quantities by problem: the quantity over all problems; in words."""


def _r2(steps: str, summary: str) -> Statistic:
    ending, quantity, words = STEPS[steps]

    def estimate(evidence: Evidence) -> Answer:
        error = evidence.of_problems(f"linear_error{ending}")
        variation = evidence.of_problems(f"linear_variation{ending}")
        _, reason = evidence.of_probe("momentum", quantity)
        if reason or not variation.size:
            return not_applicable(reason, "R² was not measured by problem")
        of_problems: OfProblems = Sample(variation - error, variation)
        if summary == "median":
            of_problems = MedianR2(MedianRatio(error, variation))
        return Estimate.of(of_problems)

    median = "median " if summary == "median" else ""
    return Statistic(f"{median}R² of the linear system, {words}", estimate, most=1.0)


FAMILIES = {
    "share_at_point": Family(
        _share_at_point, {"distance": tuple(QUANTITIES), "after": ("10T", "20T")}
    ),
    "r2_of_linear_system": Family(_r2, {"steps": tuple(STEPS), "summary": ("pooled", "median")}),
}
