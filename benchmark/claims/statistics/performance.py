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

NEED_FINITE = ("ratio_of_means", "mean_log")
"""The summaries that one run that diverged decides: its meta-objective is infinite."""


def compare(
    evidence: Evidence, baseline: str, summary: Callable[[Floats, Floats], OfProblems]
) -> OfProblems | str:
    """A summary of the meta-objectives against those of a tuned baseline, or why there is none."""
    if baseline == "best":
        best = best_baselines(evidence.frames["evaluations"])
        if best.empty:
            return f"no baseline has been tuned on {evidence.task}"
        (baseline,) = best["optimizer"]
    learned_objective = evidence.of_problems("objective")
    baseline_objective = evidence.of_problems("objective", baseline)
    if not baseline_objective.size:
        return f"{baseline} has not been tuned on {evidence.task}"
    # A cross-check has the first of the baseline's problems.
    n_problems = min(len(learned_objective), len(baseline_objective))
    return summary(learned_objective[:n_problems], baseline_objective[:n_problems])


def _ratio(baseline: str, summary: str) -> Statistic:
    words, made = SUMMARIES[summary]

    def estimate(evidence: Evidence) -> Answer:
        with np.errstate(divide="ignore", invalid="ignore"):
            compared = compare(evidence, baseline, made)
            if isinstance(compared, str):
                return not_applicable(compared)
            value = compared.value
        if math.isnan(value):
            return not_applicable("runs of both diverged")
        if summary in NEED_FINITE and math.isinf(value):
            # The mean log of a ratio to a baseline that diverged is minus infinity.
            return Estimate(value) if value > 0 else not_applicable("runs of the baseline diverged")
        if summary in NEED_FINITE and value == 0:
            return Estimate(0.0)  # a finite mean over an infinite one
        return Estimate.of(compared)

    least = -math.inf if summary == "mean_log" else 0.0
    return Statistic(words.format(BASELINES[baseline]), estimate, least)


def _probability(baseline: str) -> Statistic:
    def estimate(evidence: Evidence) -> Answer:
        compared = compare(evidence, baseline, ProbabilityOfImprovement)
        return not_applicable(compared) if isinstance(compared, str) else Estimate.of(compared)

    words = f"share of problems below {BASELINES[baseline]} meta-objective"
    return Statistic(words, estimate, 0.0, 1.0)


FAMILIES = {
    "ratio": Family(_ratio, {"baseline": tuple(BASELINES), "summary": tuple(SUMMARIES)}),
    "probability_of_improvement": Family(_probability, {"baseline": tuple(BASELINES)}),
}
