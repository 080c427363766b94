"""Statistics of adaptation: the learning rate η_ref(g) in the states to which gradients lead.

    adaptation          a summary of η_ref along both signs of g; of both, the larger, or their mean
    s_curve_variance    share of the variance of these states in their first two components
    s_curve_order       |rank correlation| of the first component and g

The summaries are those of `loptbench.results.schema.mechanisms.AdaptationReadings`, and `ratio`,
η_ref(q99) / η_ref(q50). `states` are adapted (after T steps), exact (fixed points), or settled
(fixed points at which the state comes to rest within 2,250 steps).
"""

import math

import numpy as np

from loptbench.claims.evidence import Evidence
from loptbench.claims.statistics.estimate import (
    Answer,
    Estimate,
    Family,
    Later,
    Statistic,
    not_applicable,
)
from loptbench.claims.statistics.ranks import rank_correlation

PROBE = "adaptation"
SUMMARIES = {
    "ratio": ("rate at large / typical gradients", -math.inf, math.inf),
    "ratio_to_zero": ("rate at large / small gradients", -math.inf, math.inf),
    "ratio_to_peak": ("rate at large gradients / highest", -math.inf, 1.0),
    "ratio_of_largest": ("rate at the largest / typical gradients", -math.inf, math.inf),
    "rank_met": ("rank correlation of rate and |g|, as met", -1.0, 1.0),
    "rank_log": ("rank correlation of rate and |g|, even in log |g|", -1.0, 1.0),
    "elasticity": ("elasticity, d ln η / d ln |g|", -math.inf, math.inf),
}
"""The summaries: in words, smallest and largest possible value."""


def _adaptation(summary: str, states: str, after: str, arms: str) -> Statistic:
    if states == "exact" and after == "2T":
        raise ValueError("fixed points are not measured after 2T steps")
    together = np.max if arms == "both" else np.mean

    def estimate(evidence: Evidence) -> Answer:
        horizon = "exact" if states == "exact" else after
        values, reason = evidence.of_probe(PROBE, summary, horizon)
        if reason:
            return not_applicable(reason)
        later = None
        if horizon == "T":
            values_later, _ = evidence.of_probe(PROBE, summary, "2T")
            later = Later(float(together(values_later)))
        return Estimate(float(together(values)), later=later)

    words, least, most = SUMMARIES[summary]
    return Statistic(f"{words}, {states} states", estimate, least, most)


def _s_curve_variance(states: str) -> Statistic:
    prefix = "adapted_" if states == "adapted" else ""

    def estimate(evidence: Evidence) -> Answer:
        total = 0.0
        for component in (1, 2):
            (share,), reason = evidence.of_probe(PROBE, f"{prefix}variance_{component}")
            if reason:
                return not_applicable(reason)
            total += float(share)
        return Estimate(min(total, 1.0))

    return Statistic(f"variance in two components, {states} states", estimate, 0.0, 1.0)


def _s_curve_order(states: str, arms: str) -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        _, reason = evidence.of_probe(PROBE, "adapted_order")
        if reason and states == "adapted":
            return not_applicable(reason)
        rows = evidence.frames["adaptation"]
        rows = rows[rows["states"] == states]
        gradient, component = (rows[name].to_numpy(np.float64) for name in ("gradient", "pc1"))
        known = np.isfinite(component)
        signs = [gradient < 0, gradient > 0] if arms == "apart" else [np.ones_like(known)]
        orders = [
            abs(rank_correlation(component[known & sign], gradient[known & sign])) for sign in signs
        ]
        if not np.all(np.isfinite(orders)):
            return not_applicable(reason, f"there are too few {states} states to have an order")
        return Estimate(min(orders))

    return Statistic(f"order of the states by g, {states} states", estimate, 0.0, 1.0)


FAMILIES = {
    "adaptation": Family(
        _adaptation,
        {
            "summary": tuple(SUMMARIES),
            "states": ("adapted", "exact"),
            "after": ("T", "2T"),
            "arms": ("both", "mean"),
        },
    ),
    "s_curve_variance": Family(_s_curve_variance, {"states": ("adapted", "settled")}),
    "s_curve_order": Family(
        _s_curve_order,
        {"states": ("adapted", "exact", "settled"), "arms": ("together", "apart")},
    ),
}
