"""Statistics of clipping: the update u(g) against the linear one, D g.

reach              largest gradient met / half-saturation, the smaller of both signs
saturation         u(g) / (D g) at the largest gradient met, the larger of both signs
engagement         share of the gradients met beyond half-saturation
saturation_loss    1 − Σ|u(g)| / Σ|D g|, at the states of real runs
"""

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
from loptbench.statistics.bootstrap import Sample

PROBE = "clipping"
ENDINGS = {"h0": "_at_h0", "h*": ""}
"""What the quantities of a state end with."""


def _reach(state: str) -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        if state == "met":
            return _reach_at_states_met(evidence)
        (value,), reason = evidence.of_probe(PROBE, f"reach{ENDINGS[state]}")
        return not_applicable(reason) if reason else Estimate(float(value))

    return Statistic(f"largest gradient / half-saturation at {_words(state)}", estimate, 0.0)


def _reach_at_states_met(evidence: Evidence) -> Answer:
    """The median over states; half-saturation of the sign that saturates later."""
    (largest,), reason = evidence.of_probe(PROBE, "largest_gradient")
    functions = evidence.frames["update_functions"]
    functions = functions[~functions["where"].isin(list(ENDINGS))]
    half = functions.groupby("where", sort=False)["half_saturation"].agg(
        lambda x: x.max(skipna=False)
    )
    half = half.dropna()
    if reason or half.empty:
        return not_applicable(reason, "half-saturation is known at none of the states met")
    return Estimate(float(np.median(largest / half.to_numpy(np.float64))))


def _saturation(state: str) -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        quantity = f"saturation_at_largest_gradient{ENDINGS[state]}"
        values, reason = evidence.of_probe(PROBE, quantity)
        return not_applicable(reason) if reason else Estimate(float(values.max()))

    return Statistic(f"update / linear update at the largest gradient, {_words(state)}", estimate)


def _engagement(state: str) -> Statistic:
    quantity = f"engagement{ENDINGS[state]}"

    def estimate(evidence: Evidence) -> Answer:
        share = evidence.of_problems(quantity)
        _, reason = evidence.of_probe(PROBE, quantity)
        if reason or not share.size:
            return not_applicable(reason, "engagement was not measured by problem")
        return Estimate.of(Sample(share, np.ones_like(share)))

    words = f"share of gradients beyond half-saturation at {_words(state)}"
    return Statistic(words, estimate, 0.0, 1.0)


def _saturation_loss() -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        (value,), reason = evidence.of_probe(PROBE, "saturation_loss", "T")
        if reason:
            return not_applicable(reason)
        (later,), _ = evidence.of_probe(PROBE, "saturation_loss", "2T")
        linear = evidence.of_problems("saturation_linear")
        if not linear.size:
            return Estimate(float(value), later=Later(float(later)))
        sample = Sample(linear - evidence.of_problems("saturation_actual"), linear)
        return Estimate.of(sample, Later(float(later)))

    return Statistic("saturation loss", estimate, most=1.0)


def _words(state: str) -> str:
    return "states met" if state == "met" else state


FAMILIES = {
    "reach": Family(_reach, {"state": ("h0", "h*", "met")}),
    "saturation": Family(_saturation, {"state": ("h0", "h*")}),
    "engagement": Family(_engagement, {"state": ("h*", "h0")}),
    "saturation_loss": Family(_saturation_loss),
}
