"""Claims that compare two tasks, on pairs of seeds: one optimizer of each task.

The optimizers of a pair were meta-trained by the same implementation, with the same preset and the
same seed number. What is compared are means over seeds; the interval is the bootstrap over pairs.
A ratio is one of shares that are used or lost, so a number below zero counts as zero in it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.claims.catalogue import Reading
from loptbench.claims.evidence import Evidence
from loptbench.claims.outcomes import ReadingOutcome, judge_number, judge_reading
from loptbench.claims.seeds import Numbers, mean_later, shared_samples
from loptbench.claims.statistics import Answer, Estimate, Later
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.results.schema.verdicts import Outcome
from loptbench.statistics.bootstrap import Interval, over_seeds, ratio_of_seed_means

Floats = NDArray[np.float64]

NOTHING_TO_COMPARE = "it is zero on both tasks, so that there is no ratio"


class Pair(NamedTuple):
    """One optimizer of each task.

    Attributes:
        first: the evidence on that of the first task.
        second: the evidence on that of the second task.
    """

    first: Evidence
    second: Evidence


def pairs_of(evidence: Sequence[Evidence], tasks: Sequence[str]) -> list[Pair]:
    """The pairs of optimizers of two tasks; those with an unknown seed have no partner."""
    by_task: dict[str, dict[tuple[str, str, int], Evidence]] = {task: {} for task in tasks}
    for item in evidence:
        if item.task in by_task and item.seed is not None:
            by_task[item.task].setdefault((item.trained_by, item.preset, item.seed), item)
    first, second = (by_task[task] for task in tasks)
    return [Pair(first[key], second[key]) for key in first if key in second]


def compare(how: str | None, first: float, second: float) -> float:
    """The ratio of two numbers, or their difference.

    >>> compare("ratio", 0.4, 0.1), compare("ratio", 0.4, -0.1), compare("difference", 0.4, 0.1)
    (4.0, inf, 0.30000000000000004)
    """
    if how == "difference":
        return first - second
    first, second = max(first, 0.0), max(second, 0.0)
    if second > 0.0:
        return first / second
    return math.inf if first > 0.0 else math.nan


def judge_pair(
    reading: Reading, answers: tuple[Answer, Answer], premises: Sequence[Outcome]
) -> ReadingOutcome:
    """What a reading says of one pair.

    Args:
        reading: the reading.
        answers: those of its statistic on the first and on the second task.
        premises: the outcomes of the premise on both optimizers.
    """
    order = (Outcome.NOT_REPRODUCED, Outcome.INCONCLUSIVE, Outcome.REPRODUCED)
    premise = min(premises, key=order.index)
    first, second = answers
    if isinstance(first, NotApplicable):
        return judge_reading(reading, first, premise)
    if isinstance(second, NotApplicable):
        return judge_reading(reading, second, premise)
    value = compare(reading.compared, first.value, second.value)
    if math.isnan(value):
        missing = NotApplicable(not_applicable=NOTHING_TO_COMPARE)
        return judge_reading(reading, missing, premise)
    later = _later(reading, first.later, second.later)
    return judge_number(reading, Interval(value, value, value), later, premise)


def _later(reading: Reading, first: Later | None, second: Later | None) -> Later | None:
    if first is None or second is None:
        return None
    return Later(compare(reading.compared, first.value, second.value), first.words)


def numbers_of_pairs(reading: Reading, answers: Sequence[tuple[Answer, Answer]]) -> Numbers:
    """The numbers of several pairs.

    Args:
        reading: the reading.
        answers: those of its statistic on the first and on the second task, of each pair.
    """
    known = [
        (first, second)
        for first, second in answers
        if isinstance(first, Estimate)
        and isinstance(second, Estimate)
        and math.isfinite(first.value)
        and math.isfinite(second.value)
    ]
    if not known:
        return Numbers(math.nan, 0, None, lambda: Interval(math.nan, math.nan, math.nan))
    firsts, seconds = ([pair[side] for pair in known] for side in (0, 1))
    first, second = (np.array([e.value for e in side]) for side in (firsts, seconds))
    value = compare(reading.compared, *_clipped_means(reading, first, second))
    later = _later(reading, mean_later(firsts), mean_later(seconds))
    return Numbers(value, len(known), later, lambda: _interval(reading, firsts, seconds))


def _clipped_means(reading: Reading, first: Floats, second: Floats) -> tuple[float, float]:
    if reading.compared == "ratio":
        first, second = np.maximum(first, 0.0), np.maximum(second, 0.0)
    return float(first.mean()), float(second.mean())


def _interval(
    reading: Reading, firsts: Sequence[Estimate], seconds: Sequence[Estimate]
) -> Interval:
    """The interval over pairs, and over the problems of each task if nothing was set to zero."""
    first, second = (np.array([e.value for e in side]) for side in (firsts, seconds))
    if reading.compared == "difference":
        return over_seeds(first - second)
    if second.max() <= 0.0:
        return Interval(math.inf, math.inf, math.inf)
    samples = shared_samples(firsts), shared_samples(seconds)
    if min(first.min(), second.min()) < 0.0:
        first, second, samples = np.maximum(first, 0.0), np.maximum(second, 0.0), (None, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ratio_of_seed_means(first, second, *samples)
