"""What one reading of a claim says of several seeds.

A claim is *reproduced* if the interval of the mean over seeds and problems lies in the claimed
range, and if it is reproduced on at least four of five seeds. It is *not reproduced* if the
interval lies outside that range, or if it straddles the threshold and at least four of five seeds
do not reproduce the claim. With fewer than five seeds it is *inconclusive*.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from loptbench.claims.catalogue import Reading
from loptbench.claims.outcomes import ReadingOutcome, horizons_differ, outcome_of, possible
from loptbench.claims.statistics import Answer, Estimate, Later
from loptbench.claims.statistics.estimate import FEWEST_PROBLEMS
from loptbench.results.schema.verdicts import Outcome
from loptbench.statistics.bootstrap import (
    FEWEST_SEEDS,
    Interval,
    OfProblems,
    over_seeds,
)

MIN_AGREEING_SEEDS_FRACTION = 0.8
"""Minimum fraction of seeds that must agree with the verdict over all of them."""


@dataclasses.dataclass(frozen=True)
class Numbers:
    """The numbers of several seeds, as far as they have one.

    Attributes:
        mean: what the verdict is about: their mean, NaN if one of them is not finite; or a
            comparison of two means.
        n_known: of how many seeds there is a finite number.
        later: the same at the second horizon; None if there is none.
        interval: makes the 95 % interval of `mean`, where that is a number.
    """

    mean: float
    n_known: int
    later: Later | None
    interval: Callable[[], Interval]


def numbers_of(answers: Sequence[Answer]) -> Numbers:
    """The numbers of seeds on one task."""
    estimates = [answer for answer in answers if isinstance(answer, Estimate)]
    values = np.array([estimate.value for estimate in estimates])
    finite = int(np.sum(np.isfinite(values)))
    mean = float(values.mean()) if len(values) and finite == len(values) else math.nan
    return Numbers(
        mean,
        finite,
        mean_later(estimates),
        lambda: over_seeds(values, shared_samples(estimates)),
    )


def mean_later(estimates: Sequence[Estimate]) -> Later | None:
    """The mean over seeds at the second horizon; NaN if one of them has none, None if all."""
    later = [estimate.later for estimate in estimates if estimate.later is not None]
    if not later:
        return None
    values: NDArray[np.float64] = np.array([value.value for value in later])
    return Later(float(values.mean()), later[0].words)


def shared_samples(estimates: Sequence[Estimate]) -> list[OfProblems] | None:
    """The samples of all estimates, of equally many problems, at least two; else None."""
    samples = [estimate.sample for estimate in estimates if estimate.sample is not None]
    same_size = len({sample.n_problems for sample in samples}) == 1
    enough = all(sample.n_problems >= FEWEST_PROBLEMS for sample in samples)
    return samples if same_size and enough and len(samples) == len(estimates) else None


def judge_seeds(
    reading: Reading, singles: Sequence[ReadingOutcome], numbers: Numbers
) -> ReadingOutcome:
    """What a reading says of several seeds.

    Args:
        reading: the reading.
        singles: what it says of each of them.
        numbers: their numbers.
    """
    n = len(singles)
    n_reproduced, n_against = (
        sum(single.outcome is outcome for single in singles)
        for outcome in (Outcome.REPRODUCED, Outcome.NOT_REPRODUCED)
    )
    enough = MIN_AGREEING_SEEDS_FRACTION * n
    # With so many seeds on which the premise decides, too few are left to reproduce the claim.
    by_premise = sum(single.by_premise for single in singles) > n - enough
    mean_alone = Interval(numbers.mean, math.nan, math.nan)
    judged = ReadingOutcome(
        reading,
        Outcome.INCONCLUSIVE,
        interval=mean_alone if numbers.n_known else None,
        by_premise=by_premise,
        n_reproduced=n_reproduced,
        n_against=n_against,
        is_decided=False,
    )
    if n < FEWEST_SEEDS:
        return dataclasses.replace(judged, reason=f"{n} of at least {FEWEST_SEEDS} seeds")
    against = n_against >= enough
    if math.isnan(numbers.mean) or numbers.n_known < enough:
        missing = n - numbers.n_known
        return dataclasses.replace(
            judged,
            outcome=Outcome.NOT_REPRODUCED if against else Outcome.INCONCLUSIVE,
            reason=f"of {missing} seeds there is no number, or it is infinite",
            is_decided=against and not by_premise,
        )
    interval = possible(reading, numbers.interval())
    outcome, reason = _outcome(outcome_of(reading, interval), n, n_reproduced, n_against)
    differing = "" if by_premise else horizons_differ(reading, numbers.mean, numbers.later)
    if differing:
        outcome, reason = Outcome.INCONCLUSIVE, differing
    return dataclasses.replace(
        judged, outcome=outcome, reason=reason, interval=interval, is_decided=not by_premise
    )


def _outcome(
    of_interval: Outcome, n: int, n_reproduced: int, n_against: int
) -> tuple[Outcome, str]:
    """The outcome of the interval and of the single seeds together, and the reason."""
    enough = MIN_AGREEING_SEEDS_FRACTION * n
    outcome, reason, of_mean = of_interval, "", "does not decide"
    if outcome is Outcome.REPRODUCED and n_reproduced < enough:
        outcome, reason = Outcome.INCONCLUSIVE, f"it holds of {n_reproduced} of {n} seeds alone"
        of_mean = "lies in the claimed range"
    if outcome is Outcome.INCONCLUSIVE and n_against >= enough:
        outcome = Outcome.NOT_REPRODUCED
        reason = f"the interval {of_mean}, but {n_against} of {n} seeds speak against it"
    elif outcome is Outcome.INCONCLUSIVE and not reason:
        reason = (
            f"the interval does not decide; {n_against} of {n} seeds speak against it, where "
            f"{int(np.ceil(enough))} would be enough"
        )
    return outcome, reason
