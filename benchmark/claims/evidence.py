"""What records say of a learned optimizer: the statistics that claims are about."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from loptbench.mechanisms.values import NotApplicable
from loptbench.optimizers import BASELINES, optimal_momentum
from loptbench.results.plain import PlainRecord as Record
from loptbench.statistics.bootstrap import Interval, Sample, over_problems
from loptbench.tasks import TASKS, Quadratic


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
    told = found.get("engagement_by_problem")
    if not told or None in told:
        return None
    share = np.array(told)
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
    "peak_step": (0.0, max(task.n_steps for task in TASKS.values()) - 1.0),
    "last_over_peak": _SHARE,
    "lowest_over_highest": _SHARE,
    "adaptation_rank": (-1.0, 1.0),
}
"""Where statistics can lie, if not anywhere: a bootstrap interval knows nothing of it."""
