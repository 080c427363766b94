"""Statistics of performance: a learned optimizer against a tuned baseline, on the same problems.

ratio                         of meta-objectives; summary says how problems are put together
probability_of_improvement    share of the problems on which the learned one does better
"""

import math
from collections.abc import Callable

import numpy as np

from loptbench.claims.evidence import Evidence, Floats
from loptbench.claims.statistics.estimate import Answer, Estimate, Family, Statistic, not_applicable
from loptbench.results.frames import best_baselines
from loptbench.statistics.bootstrap import OfProblems, Sample
from loptbench.statistics.ratios import MedianRatio, ProbabilityOfImprovement, RatioOfTrimmedMeans

BASELINES = {"sgd": "gradient descent's", "best": "the best baseline's"}


def _mean_log_ratio(learned: Floats, baseline: Floats) -> Sample:
    return Sample(np.log(learned / baseline), np.ones_like(learned))


SUMMARIES: dict[str, tuple[str, Callable[[Floats, Floats], OfProblems]]] = {
    "ratio_of_means": ("mean meta-objective / {}", Sample),
    "ratio_of_trimmed_means": ("interquartile mean meta-objective / {}", RatioOfTrimmedMeans),
    "median": ("median of meta-objective / {}", MedianRatio),
    "mean_log": ("mean log of meta-objective / {}", _mean_log_ratio),
}
"""What a summary is called, and how it is made of the meta-objectives."""

ONLY_LEARNED_DIVERGED = {"ratio_of_means": math.inf, "mean_log": math.inf}
ONLY_BASELINE_DIVERGED = {"ratio_of_means": 0.0, "mean_log": -math.inf}
"""The summaries that one diverged run decides, and what they are then.

The mean meta-objective of an optimizer that diverges on some problem is infinite, however many
other problems there are. A finite mean over an infinite one is 0, without any error.
"""


def compare(evidence: Evidence, baseline: str) -> tuple[Floats, Floats] | str:
    """The meta-objectives and those of a tuned baseline, by problem, or why there are none."""
    if baseline == "best":
        best = best_baselines(evidence.frames["evaluations"])
        if best.empty:
            return f"no baseline has been tuned on {evidence.task}"
        (baseline,) = best["optimizer"]
    baseline_objective = evidence.of_problems("objective", baseline)
    if not baseline_objective.size:
        return f"{baseline} has not been tuned on {evidence.task}"
    return evidence.of_problems("objective"), baseline_objective


def _ratio(baseline: str, summary: str) -> Statistic:
    words, made = SUMMARIES[summary]

    def estimate(evidence: Evidence) -> Answer:
        compared = compare(evidence, baseline)
        if isinstance(compared, str):
            return not_applicable(compared)
        diverged = [not np.all(np.isfinite(objectives)) for objectives in compared]
        if any(diverged) and summary in ONLY_LEARNED_DIVERGED:
            if all(diverged):
                return not_applicable("runs of the learned optimizer and of the baseline diverged")
            decided = ONLY_LEARNED_DIVERGED if diverged[0] else ONLY_BASELINE_DIVERGED
            return Estimate(decided[summary])
        return Estimate.of(made(*compared))

    least = -math.inf if summary == "mean_log" else 0.0
    return Statistic(words.format(BASELINES[baseline]), estimate, least)


def _probability(baseline: str) -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        compared = compare(evidence, baseline)
        if isinstance(compared, str):
            return not_applicable(compared)
        return Estimate.of(ProbabilityOfImprovement(*compared))

    words = f"share of problems below {BASELINES[baseline]} meta-objective"
    return Statistic(words, estimate, 0.0, 1.0)


FAMILIES = {
    "ratio": Family(_ratio, {"baseline": tuple(BASELINES), "summary": tuple(SUMMARIES)}),
    "probability_of_improvement": Family(_probability, {"baseline": tuple(BASELINES)}),
}
