"""The statistics of edition 1, under the names and with the meaning that they had there.

    ratio_to_…         mean meta-objective over that of the baseline, on the same problems
    starts_at_point    share of the other starts that reach the convergence point, to a millionth
    saturation_reach   largest gradient of real runs over half-saturation at h*
    adaptation_…       of the two signs of the gradient, the one whose rate falls less

`engagement` is the same in both editions. None of them has a second horizon.
"""

from collections.abc import Callable

from loptbench.claims.evidence import Evidence
from loptbench.claims.statistics import clipping, convergence, momentum, performance
from loptbench.claims.statistics.estimate import Answer, Estimate, Family, Statistic, not_applicable
from loptbench.claims.statistics.schedule import LAST_STEP


def _number_of(probe: str, quantity: str) -> Callable[[Evidence], Answer]:
    """A quantity that a probe measures.

    If it has a value for each sign of the gradient, the larger one counts: a claim that bounds
    it from above then holds for both.
    """

    def estimate(evidence: Evidence) -> Answer:
        values, reason = evidence.of_probe(probe, quantity)
        return not_applicable(reason) if reason else Estimate(float(values.max()))

    return estimate


def _estimate(family: Family, **parameters: str) -> Callable[[Evidence], Answer]:
    """A statistic of edition 2 that is the same in edition 1."""
    return family.statistic(parameters).estimate


_RATIO = performance.FAMILIES["ratio"]
_MOMENTUM = momentum.FAMILIES["momentum"]
_SHARE = convergence.FAMILIES["share_at_point"]
_R2 = convergence.FAMILIES["r2_of_linear_system"]
_REACH = clipping.FAMILIES["reach"]

_STATISTICS = {
    "ratio_to_sgd": Statistic(
        "meta-objective / that of gradient descent", _estimate(_RATIO, baseline="sgd"), least=0.0
    ),
    "ratio_to_best_baseline": Statistic(
        "meta-objective / the best baseline's", _estimate(_RATIO, baseline="best"), least=0.0
    ),
    "starts_at_point": Statistic(
        "share of starts that reach the point",
        _estimate(_SHARE, distance="exact", after="20T"),
        least=0.0,
        most=1.0,
    ),
    "r2_near": Statistic(
        "R² near the convergence point", _estimate(_R2, steps="second_half"), most=1.0
    ),
    "momentum_index": Statistic("momentum index", _estimate(_MOMENTUM)),
    "index_minus_theory": Statistic(
        "momentum index − optimal β", _estimate(_MOMENTUM, minus="theory")
    ),
    "index_minus_tuned": Statistic(
        "momentum index − tuned β", _estimate(_MOMENTUM, minus="tuning")
    ),
    "saturation_reach": Statistic(
        "largest gradient / half-saturation", _estimate(_REACH, state="h*"), least=0.0
    ),
    "peak_over_first": Statistic(
        "highest rate / first", _number_of("schedule", "peak_over_first"), least=1.0
    ),
    "peak_step": Statistic(
        "step of the highest rate", _number_of("schedule", "peak_step"), least=0.0, most=LAST_STEP
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

FAMILIES = {name: Family.of(statistic) for name, statistic in _STATISTICS.items()}
