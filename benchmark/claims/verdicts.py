"""From evidence to verdicts: does a claim hold for a checkpoint, and for all seeds?

A verdict is *reproduced*, *not reproduced* or *inconclusive*. For one checkpoint it depends on the
95 % interval of its statistic over problems, and on whether that lies wholly, not at all, or in
part in the claimed range. A statistic that does not depend on problems is its own interval.

For all seeds of a task, a claim is *reproduced* if the interval of the mean over seeds and problems
lies in the claimed range, and if it is reproduced on at least four of five seeds. It is *not
reproduced* if the interval lies outside that range, or if it straddles the threshold and at least
four of five seeds do not reproduce the claim.

All claims presuppose that the optimizer optimizes. If this premise is not reproduced, no claim is.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from loptbench.claims.catalogue import PREMISE, Claim, claims
from loptbench.claims.evidence import Evidence
from loptbench.claims.statistics import STATISTICS, Answer, Estimate
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.results.schema.verdicts import Outcome, Scope, Verdict
from loptbench.statistics.bootstrap import FEWEST_SEEDS, Interval, over_seeds

MIN_AGREEING_SEEDS_FRACTION = 0.8
"""Minimum fraction of seeds that must agree with the verdict over all of them."""


def judge(evidence: Evidence) -> dict[str, tuple[Verdict, Answer]]:
    """The verdicts on one checkpoint, and the values they rest on, by claim."""
    judged: dict[str, tuple[Verdict, Answer]] = {}
    for claim in claims():
        if evidence.task in claim.tasks:
            premise = judged[PREMISE][0].outcome if PREMISE in judged else Outcome.REPRODUCED
            answer = STATISTICS[claim.statistic].estimate(evidence)
            judged[claim.name] = _judge_checkpoint(claim, evidence, answer, premise), answer
    return judged


def _judge_checkpoint(
    claim: Claim, evidence: Evidence, answer: Answer, premise: Outcome
) -> Verdict:
    outcome, reason = Outcome.INCONCLUSIVE, ""
    numbers: dict[str, Any] = {}
    if isinstance(answer, NotApplicable):
        reason = f"not applicable: {answer.reason}"
    else:
        interval = _possible(claim, answer.interval)
        outcome = _outcome(claim, interval)
        numbers = {"value": answer.value, "low": interval.low, "high": interval.high}
    if premise is not Outcome.REPRODUCED and outcome is not Outcome.NOT_REPRODUCED:
        outcome = premise
        reason = "whether it does better than gradient descent is open"
        if premise is Outcome.NOT_REPRODUCED:
            reason = "it does no better than gradient descent"
    return Verdict(
        **_claim_fields(claim),
        task=evidence.task,
        scope=Scope.CHECKPOINT,
        checkpoint=evidence.checkpoint,
        outcome=outcome,
        reason=reason,
        **numbers,
        n_reproduced=int(outcome is Outcome.REPRODUCED),
        n_against=int(outcome is Outcome.NOT_REPRODUCED),
    )


def _claim_fields(claim: Claim) -> dict[str, Any]:
    """The fields of a verdict that repeat its claim."""
    repeated = ("title", "statistic", "at_least", "at_most")
    return {"claim": claim.name, **{name: getattr(claim, name) for name in repeated}}


def _possible(claim: Claim, interval: Interval) -> Interval:
    statistic = STATISTICS[claim.statistic]
    return interval.within(statistic.least, statistic.most)


def _outcome(claim: Claim, interval: Interval) -> Outcome:
    holds = claim.holds(interval.low, interval.high)
    if holds is None:
        return Outcome.INCONCLUSIVE
    return Outcome.REPRODUCED if holds else Outcome.NOT_REPRODUCED


def judge_all(evidence: Iterable[Evidence]) -> list[Verdict]:
    """The verdicts on every checkpoint, then on the seeds of each task, preset and framework.

    The verdict on the seeds of all frameworks together comes first.
    """
    checkpoints = [(item, judge(item)) for item in evidence]
    verdicts = [verdict for _, judged in checkpoints for verdict, _ in judged.values()]
    for claim in claims():
        for task in claim.tasks:
            of_task = [(item, judged) for item, judged in checkpoints if item.task == task]
            for preset in dict.fromkeys(item.preset for item, _ in of_task):
                seeds = [(a.trained_by, j[claim.name]) for a, j in of_task if a.preset == preset]
                frameworks = tuple(dict.fromkeys(framework for framework, _ in seeds))
                groups = [(Scope.ALL_SEEDS, frameworks)]
                if len(frameworks) > 1:
                    groups += [(Scope.ONE_FRAMEWORK, (framework,)) for framework in frameworks]
                for scope, names in groups:
                    judged = [entry for framework, entry in seeds if framework in names]
                    verdicts.append(
                        Verdict(
                            **_claim_fields(claim),
                            task=task,
                            scope=scope,
                            preset=preset,
                            implementations=names,
                            **_judge_seeds(claim, judged),
                        )
                    )
    return verdicts


def _judge_seeds(claim: Claim, judged: Sequence[tuple[Verdict, Answer]]) -> dict[str, Any]:
    """The verdict on a claim over several seeds, as fields of `Verdict`."""
    outcomes = [verdict.outcome for verdict, _ in judged]
    estimates = [answer for _, answer in judged if isinstance(answer, Estimate)]
    n, n_reproduced = len(judged), outcomes.count(Outcome.REPRODUCED)
    n_against = outcomes.count(Outcome.NOT_REPRODUCED)
    values = np.array([estimate.value for estimate in estimates])
    mean = float(values.mean()) if len(values) and np.all(np.isfinite(values)) else None
    counts = {"n_seeds": n, "n_reproduced": n_reproduced, "n_against": n_against, "value": mean}
    if n < FEWEST_SEEDS:
        reason = f"{n} of at least {FEWEST_SEEDS} seeds"
        return counts | {"outcome": Outcome.INCONCLUSIVE, "reason": reason}
    enough = MIN_AGREEING_SEEDS_FRACTION * n
    against = n_against >= enough
    if mean is None or len(values) < enough:
        outcome = Outcome.NOT_REPRODUCED if against else Outcome.INCONCLUSIVE
        reason = f"of {n - len(values)} seeds there is no number, or it is infinite"
        return counts | {"outcome": outcome, "reason": reason}
    interval = _possible(claim, over_seeds(values, _shared_samples(estimates)))
    outcome, reason = _outcome(claim, interval), ""
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
    bounds = {"low": interval.low, "high": interval.high}
    return counts | {"outcome": outcome, "reason": reason, **bounds}


def _shared_samples(estimates: Sequence[Estimate]) -> Any:
    """The samples of all estimates if they have equally many problems; else None."""
    samples = [estimate.sample for estimate in estimates if estimate.sample is not None]
    same_size = len({len(sample.numerator) for sample in samples}) == 1
    return samples if same_size and len(samples) == len(estimates) else None
