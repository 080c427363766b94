"""The statistic of the schedule: the shape of the learning rate η[t] over a run.

    peak_over_first           highest η / first
    peak_step                 step of the highest η
    last_over_peak            last η / highest
    lowest_over_highest       lowest η / highest
    at_25_over_first          η[25] / first
    near_peak_step            first step with η of at least 95 % of the highest
    last_quarter_over_peak    mean η of the last quarter of the steps / highest
    rank_after_peak           rank correlation of η and step from the peak on; 0 if η is constant
    q10_over_q90              10 % quantile of η over steps / 90 % quantile

`states` says where η is measured: along the autonomous trajectory, or its median at states met.
"""

import math
from collections.abc import Callable

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
from loptbench.claims.statistics.ranks import rank_correlation
from loptbench.tasks import TASKS

LAST_STEP = max(task.n_steps for task in TASKS.values()) - 1.0
"""The last step of the longest run, from 0."""

PEAK_OF_PAPER = 25
"""The step at which the schedule of the paper is highest."""

NEAR = 0.95
"""The share of the highest rate that counts as near it."""


def _over(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def _at_25_over_first(rate: Floats) -> float:
    return _over(rate[PEAK_OF_PAPER], rate[0]) if len(rate) > PEAK_OF_PAPER else math.nan


def _near_peak_step(rate: Floats) -> float:
    return float(np.argmax(rate >= NEAR * rate.max())) if rate.max() > 0 else math.nan


def _last_quarter_over_peak(rate: Floats) -> float:
    return _over(float(rate[-max(1, len(rate) // 4) :].mean()), rate.max())


def _rank_after_peak(rate: Floats) -> float:
    falling = rate[np.argmax(rate) :]
    if np.ptp(falling) == 0.0:
        return 0.0
    return rank_correlation(falling, np.arange(len(falling)))


def _q10_over_q90(rate: Floats) -> float:
    low, high = np.quantile(rate, [0.1, 0.9])
    return _over(float(low), float(high))


MEASURED = {
    "peak_over_first": ("highest rate / first", 1.0, math.inf),
    "peak_step": ("step of the highest rate", 0.0, LAST_STEP),
    "last_over_peak": ("last rate / highest", -math.inf, 1.0),
    "lowest_over_highest": ("lowest rate / highest", -math.inf, 1.0),
}
"""Shapes that the probe measures: in words, smallest and largest possible value."""

OF_CURVE: dict[str, tuple[str, float, float, Callable[[Floats], float]]] = {
    "at_25_over_first": ("rate at step 25 / first", -math.inf, math.inf, _at_25_over_first),
    "near_peak_step": ("first step near the highest rate", 0.0, LAST_STEP, _near_peak_step),
    "last_quarter_over_peak": (
        "mean rate of the last quarter / highest",
        -math.inf,
        1.0,
        _last_quarter_over_peak,
    ),
    "rank_after_peak": ("rank correlation of rate and step", -1.0, 1.0, _rank_after_peak),
    "q10_over_q90": ("10 % / 90 % quantile of the rate", -math.inf, 1.0, _q10_over_q90),
}
"""Shapes of the curve: in words, smallest and largest possible value, and the number."""

WORDS = {"autonomous": "without gradients", "met": "states met"}


def _schedule(shape: str, states: str, after: str) -> Statistic:
    if after == "2T" and (states == "met" or shape in OF_CURVE):
        raise ValueError(f"{shape} at {states} states is not measured after 2T steps")
    if shape in OF_CURVE:
        words, least, most, of_curve = OF_CURVE[shape]

        def estimate(evidence: Evidence) -> Answer:
            _, reason = evidence.of_probe("schedule", "peak_step")
            rate = evidence.rates(states)
            if reason or not rate.size or not np.all(np.isfinite(rate)):
                return not_applicable(reason, "the rate was not measured at every step")
            value = of_curve(rate)
            return (
                Estimate(value)
                if np.isfinite(value)
                else not_applicable("the rate is not positive")
            )

    else:
        words, least, most = MEASURED[shape]

        def estimate(evidence: Evidence) -> Answer:
            name = f"met_{shape}" if states == "met" else shape
            values, reason = evidence.of_probe("schedule", name, "2T" if after == "2T" else "")
            if reason:
                return not_applicable(reason)
            later = None
            if states == "autonomous" and after == "T":
                (value,), _ = evidence.of_probe("schedule", shape, "2T")
                later = Later(float(value))
            return Estimate(float(values[0]), later=later)

    return Statistic(f"{words}, {WORDS[states]}", estimate, least, most)


FAMILIES = {
    "schedule": Family(
        _schedule,
        {
            "shape": (*MEASURED, *OF_CURVE),
            "states": tuple(WORDS),
            "after": ("T", "2T"),
        },
    )
}
