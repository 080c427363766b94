"""From records to verdicts: does a claim hold of a checkpoint, and of meta-training?

A verdict is *reproduced*, *not reproduced* or *inconclusive*. Of one checkpoint: whether the 95 %
interval of its statistic over problems lies wholly, not at all, or in part where the claim says; a
statistic that does not depend on problems is its own interval. Of all seeds of a task: *reproduced*
where the interval of the mean over seeds and problems lies as claimed and at least four of five
seeds agree; *not reproduced* where it lies elsewhere, or where it straddles the threshold and the
claim is not reproduced of at least four of five seeds.

All claims stand on the premise that the optimizer optimizes: where that is not reproduced, nothing
else is.
"""

import dataclasses
import enum
from collections.abc import Iterable
from typing import Any

import numpy as np

from loptbench.claims.catalogue import PREMISE, Claim, claims
from loptbench.claims.evidence import RANGES, STATISTICS, Evidence, Statistic
from loptbench.mechanisms.values import NotApplicable
from loptbench.statistics.bootstrap import FEWEST_SEEDS, Interval, over_seeds

SHARE_OF_SEEDS = 0.8


class Outcome(enum.StrEnum):
    """What a verdict says."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


class Scope(enum.StrEnum):
    """What a verdict is on."""

    CHECKPOINT = "checkpoint"
    ALL_SEEDS = "all seeds"
    ONE_FRAMEWORK = "one framework's seeds"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came out of a claim.

    Attributes:
        claim: the claim's name.
        task: the task.
        subject: the checkpoint, or whose seeds.
        scope: whether that is one checkpoint, all seeds of a preset, or one framework's of them.
        outcome: the verdict.
        reason: why, where the number does not say it.
        value: the statistic, or its mean over seeds; None if there is none.
        low: the lower end of its 95 % interval.
        high: the upper end.
        n_seeds: how many checkpoints; 1 for a verdict on one.
        n_reproduced: of how many of them the claim is reproduced.
        n_against: of how many of them it is not; the others do not decide.
    """

    claim: str
    task: str
    subject: str
    scope: Scope
    outcome: Outcome
    reason: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n_seeds: int = 1
    n_reproduced: int = 0
    n_against: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the store."""
        return dataclasses.asdict(self)


def judge(evidence: Evidence) -> dict[str, tuple[Verdict, Statistic | NotApplicable]]:
    """The verdicts on one checkpoint, and the statistics they rest on, by claim."""
    found: dict[str, tuple[Verdict, Statistic | NotApplicable]] = {}
    for claim in claims():
        if evidence.task in claim.tasks:
            premise = found[PREMISE][0].outcome if PREMISE in found else Outcome.REPRODUCED
            statistic = STATISTICS[claim.statistic](evidence)
            found[claim.name] = _judge_one(claim, evidence, statistic, premise), statistic
    return found


def _judge_one(
    claim: Claim, evidence: Evidence, statistic: Statistic | NotApplicable, premise: Outcome
) -> Verdict:
    open_ = Outcome.INCONCLUSIVE
    verdict = Verdict(claim.name, evidence.task, evidence.name, Scope.CHECKPOINT, open_)
    if isinstance(statistic, NotApplicable):
        verdict = dataclasses.replace(verdict, reason=f"not applicable: {statistic.reason}")
    else:
        interval = _possible(claim, statistic.interval)
        verdict = dataclasses.replace(
            verdict,
            outcome=_outcome(claim, interval),
            value=statistic.value,
            low=interval.low,
            high=interval.high,
        )
    if premise is not Outcome.REPRODUCED and verdict.outcome is not Outcome.NOT_REPRODUCED:
        reason = "whether it does better than gradient descent is open"
        if premise is Outcome.NOT_REPRODUCED:
            reason = "it does no better than gradient descent"
        verdict = dataclasses.replace(verdict, outcome=premise, reason=reason)
    return dataclasses.replace(
        verdict,
        n_reproduced=int(verdict.outcome is Outcome.REPRODUCED),
        n_against=int(verdict.outcome is Outcome.NOT_REPRODUCED),
    )


def _possible(claim: Claim, interval: Interval) -> Interval:
    return interval.within(*RANGES.get(claim.statistic, (-np.inf, np.inf)))


def _outcome(claim: Claim, interval: Interval) -> Outcome:
    holds = claim.holds(interval.low, interval.high)
    if holds is None:
        return Outcome.INCONCLUSIVE
    return Outcome.REPRODUCED if holds else Outcome.NOT_REPRODUCED


def judge_all(found: Iterable[Evidence]) -> list[Verdict]:
    """The verdicts on every checkpoint, then over the seeds of each task, preset and framework.

    The seeds of all frameworks together come first.
    """
    evidence = list(found)
    judged = [judge(one) for one in evidence]
    verdicts = [verdict for one in judged for verdict, _ in one.values()]
    for claim in claims():
        for task in claim.tasks:
            of_task = [i for i, one in enumerate(evidence) if one.task == task]
            presets = dict.fromkeys(evidence[i].group[0] for i in of_task)
            for preset in presets:
                of_preset = [i for i in of_task if evidence[i].group[0] == preset]
                frameworks = list(dict.fromkeys(evidence[i].group[1] for i in of_preset))
                groups = [(Scope.ALL_SEEDS, frameworks)]
                if len(frameworks) > 1:
                    groups += [(Scope.ONE_FRAMEWORK, [name]) for name in frameworks]
                for scope, names in groups:
                    members = [i for i in of_preset if evidence[i].group[1] in names]
                    subject = f"{preset}, meta-trained in {' or '.join(names)}"
                    found_of = [judged[i][claim.name] for i in members]
                    verdicts.append(_over_seeds(claim, task, subject, scope, found_of))
    return verdicts


def _over_seeds(
    claim: Claim,
    task: str,
    subject: str,
    scope: Scope,
    judged: list[tuple[Verdict, Statistic | NotApplicable]],
) -> Verdict:
    outcomes = [verdict.outcome for verdict, _ in judged]
    statistics = [one for _, one in judged if isinstance(one, Statistic)]
    n, n_reproduced = len(judged), outcomes.count(Outcome.REPRODUCED)
    n_against = outcomes.count(Outcome.NOT_REPRODUCED)
    verdict = Verdict(
        claim.name,
        task,
        subject,
        scope,
        Outcome.INCONCLUSIVE,
        n_seeds=n,
        n_reproduced=n_reproduced,
        n_against=n_against,
    )
    values = np.array([one.value for one in statistics])
    if len(values) and np.all(np.isfinite(values)):
        verdict = dataclasses.replace(verdict, value=float(values.mean()))
    if n < FEWEST_SEEDS:
        return dataclasses.replace(verdict, reason=f"{n} of at least {FEWEST_SEEDS} seeds")
    enough = SHARE_OF_SEEDS * n
    against = n_against >= enough
    if verdict.value is None or len(values) < enough:
        reason = f"of {n - len(values)} seeds there is no number, or it is infinite"
        outcome = Outcome.NOT_REPRODUCED if against else Outcome.INCONCLUSIVE
        return dataclasses.replace(verdict, outcome=outcome, reason=reason)
    samples = [one.sample for one in statistics if one.sample is not None]
    same = len({len(one.numerator) for one in samples}) == 1 and len(samples) == len(statistics)
    interval = _possible(claim, over_seeds(values, samples if same else None))
    outcome = _outcome(claim, interval)
    reason = ""
    if outcome is Outcome.REPRODUCED and n_reproduced < enough:
        outcome, reason = Outcome.INCONCLUSIVE, f"it holds of {n_reproduced} of {n} seeds alone"
    if outcome is Outcome.INCONCLUSIVE and against:
        outcome = Outcome.NOT_REPRODUCED
        reason = f"the interval does not decide, but {n_against} of {n} seeds speak against it"
    elif outcome is Outcome.INCONCLUSIVE and not reason:
        reason = (
            f"the interval does not decide; {n_against} of {n} seeds speak against it, where "
            f"{int(np.ceil(enough))} would be enough"
        )
    return dataclasses.replace(
        verdict, outcome=outcome, reason=reason, low=interval.low, high=interval.high
    )
