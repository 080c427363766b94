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
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from loptbench.claims import PREMISE, Claim, claims
from loptbench.mechanisms.values import NotApplicable
from loptbench.optimizers import BASELINES, optimal_momentum
from loptbench.records import Record
from loptbench.statistics import FEWEST_SEEDS, Interval, Sample, over_problems, over_seeds
from loptbench.tasks import Quadratic

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
class Evidence:
    """What is known of one checkpoint.

    Attributes:
        name: the checkpoint's label.
        task: its task.
        group: its preset and what meta-trained it: seeds of the same group are replicates.
        evaluation: the result of its evaluation trial.
        baselines: the result of the baselines' evaluation trial.
        mechanisms: the result of its mechanisms trial.
    """

    name: str
    task: str
    group: tuple[str, str]
    evaluation: Mapping[str, Any]
    baselines: Mapping[str, Any]
    mechanisms: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number that a claim is about.

    Attributes:
        value: the number; infinite where a run diverged.
        sample: what it is made of, over problems; None if it does not depend on them.
    """

    value: float
    sample: Sample | None = None

    @property
    def interval(self) -> Interval:
        """Its interval over problems."""
        if self.sample is None or not np.isfinite(self.value):
            return Interval(self.value, self.value, self.value)
        return over_problems(self.sample)


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

    def as_dict(self) -> dict[str, Any]:
        """For the store."""
        return dataclasses.asdict(self)


def _ratio_to(evidence: Evidence, baseline: str) -> Statistic | NotApplicable:
    theirs = evidence.baselines.get("baselines", {}).get(baseline)
    if theirs is None:
        return NotApplicable(f"{baseline} has not been tuned on {evidence.task}")
    ours = evidence.evaluation["learned"]["objective"]
    if None in ours:
        return Statistic(np.inf)
    if None in theirs["objective"]:
        return NotApplicable(f"runs of tuned {baseline} diverged")
    sample = Sample(np.array(ours), np.array(theirs["objective"]))
    return Statistic(sample.value, sample)


def _ratio_to_best(evidence: Evidence) -> Statistic | NotApplicable:
    means = {
        kind: one["objective_mean"]
        for kind, one in evidence.baselines.get("baselines", {}).items()
        if kind in BASELINES and one["objective_mean"] is not None
    }
    if not means:
        return NotApplicable(f"no baseline has been tuned on {evidence.task}")
    return _ratio_to(evidence, min(means, key=lambda kind: float(means[kind])))


def _starts(evidence: Evidence) -> Statistic | NotApplicable:
    point = evidence.mechanisms["convergence_point"]
    if "not_applicable" in point:
        return Statistic(0.0)  # there is none, so no start leads there
    if not point["other_starts"]:
        return NotApplicable("no other starts: its runs blew up")
    return Statistic(point["other_starts_at_this_point"] / point["other_starts"])


def _of(probe: str, pick: Callable[[Mapping[str, Any]], Any]) -> Callable[[Evidence], Any]:
    """A statistic that is a number of one probe's, or the reason why there is none."""

    def statistic(evidence: Evidence) -> Statistic | NotApplicable:
        found = evidence.mechanisms[probe]
        if "not_applicable" in found:
            return NotApplicable(found["not_applicable"])
        value = pick(found)
        if value is None:
            return NotApplicable(f"{probe} has no such number here")
        return value if isinstance(value, Statistic) else Statistic(float(value))

    return statistic


def _r2_near(found: Mapping[str, Any]) -> Statistic | None:
    if "near" not in found:
        return None
    variation = np.array(found["near"]["variation"], float)
    sample = Sample(variation - np.array(found["near"]["error"], float), variation)
    return Statistic(sample.value, sample)


def _engagement(found: Mapping[str, Any]) -> Statistic | None:
    if not found.get("engagement_by_problem"):
        return None
    share = np.array(found["engagement_by_problem"])
    sample = Sample(share, np.ones_like(share))
    return Statistic(sample.value, sample)


def _largest(values: Iterable[float | None]) -> float | None:
    """The larger of both arms': the claim must hold on both."""
    known = list(values)
    return None if None in known else max(float(v) for v in known if v is not None)


def _index_minus_tuned(evidence: Evidence) -> Statistic | NotApplicable:
    found = STATISTICS["momentum_index"](evidence)
    tuned = evidence.baselines.get("baselines", {}).get("momentum")
    if isinstance(found, NotApplicable) or tuned is None:
        return found if tuned is not None else NotApplicable("momentum has not been tuned")
    return Statistic(found.value - tuned["hyperparameters"]["beta"])


BETA = float(optimal_momentum(*Quadratic().eigenvalues).parameters["beta"])

STATISTICS: dict[str, Callable[[Evidence], Statistic | NotApplicable]] = {
    "ratio_to_sgd": lambda evidence: _ratio_to(evidence, "sgd"),
    "ratio_to_best_baseline": _ratio_to_best,
    "starts_at_point": _starts,
    "r2_near": _of("momentum", _r2_near),
    "momentum_index": _of("momentum", lambda found: found["index"]),
    "index_minus_theory": _of("momentum", lambda found: found["index"] - BETA),
    "index_minus_tuned": _index_minus_tuned,
    "saturation_reach": _of("clipping", lambda found: found.get("reach")),
    "engagement": _of("clipping", _engagement),
    "peak_over_first": _of("schedule", lambda found: found["peak_over_first"]),
    "peak_step": _of("schedule", lambda found: found["peak_step"]),
    "last_over_peak": _of("schedule", lambda found: found["last_over_peak"]),
    "lowest_over_highest": _of("schedule", lambda found: found["lowest_over_highest"]),
    "adaptation_rank": _of("adaptation", lambda found: _largest(found["rank_correlation"])),
    "adaptation_elasticity": _of("adaptation", lambda found: _largest(found["elasticity"])),
}
"""What claims are about. Of the mechanisms, see `loptbench.mechanisms`; besides:

    ratio_to_…              mean meta-objective over that of the baseline, on the same problems
    starts_at_point         the share of other starts that reach the convergence point
    saturation_reach        largest gradient met over half-saturation at h*; the smaller of both
    engagement              share of the gradients met that lie beyond half-saturation at h*
    adaptation_…            of both arms, the one that falls less
"""

IN_WORDS = {
    "ratio_to_sgd": "meta-objective / that of gradient descent",
    "ratio_to_best_baseline": "meta-objective / the best baseline's",
    "starts_at_point": "share of starts that reach the point",
    "r2_near": "R² near the convergence point",
    "momentum_index": "momentum index",
    "index_minus_theory": "momentum index − optimal β",
    "index_minus_tuned": "momentum index − tuned β",
    "saturation_reach": "largest gradient / half-saturation",
    "engagement": "share of gradients beyond half-saturation",
    "peak_over_first": "highest rate / first",
    "peak_step": "step of the highest rate",
    "last_over_peak": "last rate / highest",
    "lowest_over_highest": "lowest rate / highest",
    "adaptation_rank": "rank correlation of rate and |g|",
    "adaptation_elasticity": "elasticity, d ln η / d ln |g|",
}
"""What a statistic is called where people read it."""

_SHARE, _POSITIVE = (0.0, 1.0), (0.0, np.inf)
RANGES: dict[str, tuple[float, float]] = {
    "ratio_to_sgd": _POSITIVE,
    "ratio_to_best_baseline": _POSITIVE,
    "starts_at_point": _SHARE,
    "r2_near": (-np.inf, 1.0),
    "saturation_reach": _POSITIVE,
    "engagement": _SHARE,
    "peak_over_first": (1.0, np.inf),
    "peak_step": _POSITIVE,
    "last_over_peak": _SHARE,
    "lowest_over_highest": _SHARE,
    "adaptation_rank": (-1.0, 1.0),
}
"""Where statistics can lie, if not anywhere: a bootstrap interval knows nothing of it."""


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
    return dataclasses.replace(verdict, n_reproduced=int(verdict.outcome == "reproduced"))


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
    verdict = Verdict(
        claim.name,
        task,
        subject,
        scope,
        Outcome.INCONCLUSIVE,
        n_seeds=n,
        n_reproduced=n_reproduced,
    )
    values = np.array([one.value for one in statistics])
    if len(values) and np.all(np.isfinite(values)):
        verdict = dataclasses.replace(verdict, value=float(values.mean()))
    if n < FEWEST_SEEDS:
        return dataclasses.replace(verdict, reason=f"{n} of at least {FEWEST_SEEDS} seeds")
    enough = SHARE_OF_SEEDS * n
    against = outcomes.count(Outcome.NOT_REPRODUCED) >= enough
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
    if against and outcome is Outcome.INCONCLUSIVE:
        outcome = Outcome.NOT_REPRODUCED
    return dataclasses.replace(
        verdict, outcome=outcome, reason=reason, low=interval.low, high=interval.high
    )


def evidence_of(records: Iterable[Record]) -> list[Evidence]:
    """What records say of each learned optimizer, each by the implementation that meta-trained it.

    Where that one did not measure it, by any that did.
    """
    by_trial: dict[tuple[str, str, str, str], Record] = {}
    for record in records:
        key = record.key
        if record.result and key["trial"] in ("evaluation", "mechanisms"):
            by_trial[key["trial"], key["optimizer"], key["task"], key["implementation"]] = record
    found: dict[tuple[str, str], Evidence] = {}
    for (trial, label, task, name), record in by_trial.items():
        mechanisms = by_trial.get(("mechanisms", label, task, name))
        baselines = by_trial.get(("evaluation", "baselines", task, name))
        if trial != "evaluation" or label == "baselines" or mechanisms is None or baselines is None:
            continue
        told = record.result["meta_training"]
        own = told.get("implementation", "")
        if (label, task) not in found or name == own:
            preset = told.get("configuration", {}).get("preset") or "own settings"
            found[label, task] = Evidence(
                label, task, (preset, own), record.result, baselines.result, mechanisms.result
            )
    return list(found.values())
