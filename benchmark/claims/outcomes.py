"""What one reading of a claim says of one checkpoint.

A statistic that lies wholly in the claimed range, with its 95 % interval, reproduces the claim; one
that lies wholly outside does not; all else is inconclusive. Where the statistic has a value at a
second horizon, and that lies on the other side of the threshold, it is inconclusive as well.

All claims presuppose that the optimizer optimizes. If this premise is not reproduced, no reading of
any claim is.
"""

import dataclasses
import math

from loptbench.claims.catalogue import Reading
from loptbench.claims.statistics import Answer, Later
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.results.schema.verdicts import Outcome
from loptbench.statistics.bootstrap import Interval

NO_BETTER = {
    Outcome.NOT_REPRODUCED: "it does no better than gradient descent",
    Outcome.INCONCLUSIVE: "whether it does better than gradient descent is open",
}
"""What is said where the premise decides, by the outcome of the premise."""


@dataclasses.dataclass(frozen=True)
class ReadingOutcome:
    """What a reading says of a checkpoint, of a pair of them, or of several seeds.

    Attributes:
        reading: the reading.
        outcome: the verdict that it gives.
        reason: why, where the number does not say it.
        interval: the statistic and its 95 % interval, NaN where there is none; None without a
            number.
        by_premise: whether the premise decides, not the number.
        n_reproduced: of how many checkpoints the claim is reproduced.
        n_against: of how many it is not.
        is_decided: whether there was enough to decide: a number, the premise, and enough seeds.
    """

    reading: Reading
    outcome: Outcome
    reason: str = ""
    interval: Interval | None = None
    by_premise: bool = False
    n_reproduced: int = 0
    n_against: int = 0
    is_decided: bool = True


def judge_reading(reading: Reading, answer: Answer, premise: Outcome) -> ReadingOutcome:
    """What a reading says of one checkpoint.

    Args:
        reading: the reading.
        answer: the value of its statistic, or why there is none.
        premise: the outcome of the premise on this checkpoint.
    """
    if isinstance(answer, NotApplicable):
        undecided = ReadingOutcome(
            reading,
            Outcome.INCONCLUSIVE,
            f"not applicable: {answer.reason}",
            is_decided=False,
        )
        return under_premise(undecided, premise)
    return judge_number(reading, answer.interval, answer.later, premise)


def judge_number(
    reading: Reading, interval: Interval, later: Later | None, premise: Outcome
) -> ReadingOutcome:
    """What a number says of one checkpoint.

    Args:
        reading: the reading.
        interval: the number and its interval.
        later: the number at the second horizon; None if there is none.
        premise: the outcome of the premise on this checkpoint.
    """
    interval = possible(reading, interval)
    outcome, reason = outcome_of(reading, interval), ""
    if differing := horizons_differ(reading, interval.value, later):
        outcome, reason = Outcome.INCONCLUSIVE, differing
    return under_premise(ReadingOutcome(reading, outcome, reason, interval), premise)


def under_premise(judged: ReadingOutcome, premise: Outcome) -> ReadingOutcome:
    """The outcome for one checkpoint: reproduced only if the premise is."""
    if premise is not Outcome.REPRODUCED and judged.outcome is not Outcome.NOT_REPRODUCED:
        judged = dataclasses.replace(
            judged, outcome=premise, reason=NO_BETTER[premise], by_premise=True, is_decided=False
        )
    return dataclasses.replace(
        judged,
        n_reproduced=int(judged.outcome is Outcome.REPRODUCED),
        n_against=int(judged.outcome is Outcome.NOT_REPRODUCED),
    )


def possible(reading: Reading, interval: Interval) -> Interval:
    """The part of an interval in which the statistic can lie."""
    if reading.compared is not None:
        return interval
    return interval.within(reading.measured.least, reading.measured.most)


def outcome_of(reading: Reading, interval: Interval) -> Outcome:
    """The outcome of an interval: inconclusive if a part of it lies in the claimed range."""
    holds = reading.holds(interval.low, interval.high)
    if holds is None:
        return Outcome.INCONCLUSIVE
    return Outcome.REPRODUCED if holds else Outcome.NOT_REPRODUCED


def horizons_differ(reading: Reading, value: float, later: Later | None) -> str:
    """How the second horizon contradicts the first; empty if it does not."""
    if later is None:
        return ""
    if math.isnan(later.value):
        return f"after {later.words} there is no number"
    if reading.holds(value, value) is not reading.holds(later.value, later.value):
        return f"after {later.words} it is {later.value:.3g}"
    return ""


def agrees(judged: ReadingOutcome, primary: ReadingOutcome) -> bool:
    """Whether a reading has a number, and the outcome of the primary reading."""
    return judged.interval is not None and judged.outcome is primary.outcome


def robustness(judged: tuple[ReadingOutcome, ...]) -> float | None:
    """The share of the alternatives that agree with the primary reading.

    None if there are no alternatives, or if the primary reading itself decides nothing: it has no
    number, the premise decides, or there are too few seeds.

    Args:
        judged: the primary reading, then the alternatives.
    """
    primary, *alternatives = judged
    if not alternatives or not primary.is_decided:
        return None
    return sum(agrees(other, primary) for other in alternatives) / len(alternatives)
