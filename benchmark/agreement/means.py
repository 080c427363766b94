"""Mean meta-objectives of one optimizer in two implementations, and by how much they may differ.

Two right implementations differ by rounding. On most problems that is a few machine epsilons; on
a chaotic one, such as RMSProp's near a minimum, rounding grows until the runs have nothing in
common. So the difference of two means has no bound that is the same for all. It has the one that
its problems earn: the oracle runs those that make up the difference, with and without
perturbations, and each may be off by what it magnifies.

This sees what a sample of problems may miss: an implementation that is wrong on a few problems
differs from the others there, and the oracle says which of them is right.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.agreement.losses import oracle_losses
from loptbench.agreement.tolerances import bound as tolerance_bound
from loptbench.agreement.tolerances import free_running_bound
from loptbench.agreement.trajectories import above_underflow
from loptbench.optimizers import OptimizerSpec
from loptbench.rollout.trajectory import meta_objective
from loptbench.tasks.base import ProblemBatch

Float = NDArray[np.float64]

FEWEST_MEASURED, MOST_MEASURED = 4, 512
"""Problems of one optimizer that the oracle runs, at most: between these two."""

COMPONENTS_MEASURED = 2048
"""Components up to which more than the fewest problems are run: the oracle takes seconds."""

SMALLEST_DIFFERENCE = 1e-10
"""Relative difference of two means that nobody looks into: no number that is shown has so many
digits. In float32 it is the worst rounding error of a step, 5e-5, which is larger."""

CHAOTIC_SPREAD = 10.0
"""A chaotic run may be off by so many times the distance of the oracle's own perturbed runs, of
which there are two. Besides, it may be off by its own size: of such runs a few have a spike."""


class EarnedBound(NamedTuple):
    """The oracle's meta-objectives, and how far off those of another implementation may be.

    Attributes:
        objective: infinite where the oracle diverges, (n_problems,).
        bound: (n_problems,).
        is_chaotic: whether small errors became large ones during the run, (n_problems,).
    """

    objective: Float
    bound: Float
    is_chaotic: NDArray[np.bool_]


def earned_bound(
    oracle: Any,
    spec: OptimizerSpec,
    batch: ProblemBatch,
    n_losses: int,
    dtype: str,
    device: str = "cpu",
) -> EarnedBound:
    """The bound that each problem earns: rounding errors, amplified as the oracle amplifies them.

        |δ (1/n) Σ_k f_k/f_0| ≤ (1/n) Σ_k |δf_k|/|f_0| + |δf_0|/|f_0| · objective

    with |δf_k| the bound of the loss while small errors stay small. Afterwards the sum of the
    losses may be off by its own size and 10 times the distance of the perturbed runs.

    Args:
        oracle: the reference implementation.
        spec: the optimizer.
        batch: the problems.
        n_losses: the number of losses of a run.
        dtype: the dtype in which the other implementation computed.
        device: the device on which it computed.
    """
    runs = oracle_losses(oracle, spec.rounded_to(dtype), batch.rounded_to(dtype), n_losses, dtype)
    with np.errstate(all="ignore"):
        rounding = free_running_bound(runs.amplification, dtype, device)
        rounding = rounding * above_underflow(runs.scale, dtype)
        is_near = np.arange(n_losses)[:, None] < runs.n_comparable
        later = np.where(is_near, 0.0, runs.loss).sum(axis=0)
        perturbed = np.where(is_near[:, None], 0.0, runs.perturbed).sum(axis=0)
        largest = np.maximum(np.abs(later), np.abs(perturbed).max(axis=0))
        distance = np.abs(perturbed - later).max(axis=0)
        error = np.where(is_near, rounding, 0.0).sum(axis=0)
        error += np.where(is_near.all(axis=0), 0.0, largest + CHAOTIC_SPREAD * distance)
        first = np.abs(runs.loss[0])
        measured = meta_objective(runs.loss)
        objective = np.where(np.isfinite(measured), measured, np.inf).astype(np.float64)
        bound = error / (n_losses * first) + rounding[0] / first * np.abs(objective)
    diverges = ~np.isfinite(perturbed)
    bound = np.where(np.isfinite(objective) & (runs.n_in_range == n_losses), bound, np.inf)
    bound = np.where(np.isinf(objective) & diverges.all(axis=0), 0.0, bound)
    is_chaotic = np.isfinite(objective) & (runs.n_comparable < runs.n_in_range)
    return EarnedBound(objective, np.nan_to_num(bound, nan=np.inf, posinf=np.inf), is_chaotic)


def differences(a: Float, b: Float) -> Float:
    """|a − b| of each problem that both have; 0 where both diverged.

    >>> differences(np.array([1.0, np.inf, np.inf]), np.array([1.5, np.inf])).tolist()
    [0.5, 0.0]
    """
    n = min(len(a), len(b))
    with np.errstate(invalid="ignore"):
        return np.where(a[:n] == b[:n], 0.0, np.abs(a[:n] - b[:n]))


def unimportant(dtype: str) -> float:
    """The relative difference of two means that needs no explanation.

    >>> unimportant("float64")
    1e-10
    """
    return max(SMALLEST_DIFFERENCE, tolerance_bound("state", dtype))


def disputed(a: Float, b: Float, dtype: str) -> NDArray[np.int64]:
    """The problems that make up the difference of two means: without them it is unimportant.

    Args:
        a: meta-objectives of one implementation, of the problems from the first on.
        b: those of another; of the same problems, as far as both have them.
        dtype: the dtype of the less precise one.

    Returns: their places, those with the largest difference first.
    """
    difference = differences(a, b)
    size = np.maximum(np.abs(a[: len(difference)]), np.abs(b[: len(difference)]))
    allowed = unimportant(dtype) * np.sum(size, where=np.isfinite(size))
    order = np.argsort(-difference, kind="stable")
    rest = np.cumsum(difference[order][::-1])[::-1]  # of this problem and all after it
    return np.asarray(order[rest > allowed])


def problems_to_measure(
    objectives: Mapping[str, Float], dtype: str, n_parameters: int, seed: int
) -> tuple[list[int], list[int]]:
    """The problems that the oracle runs, of those that make up any difference of two means.

    Args:
        objectives: the meta-objectives of each implementation.
        dtype: the dtype that they were computed in.
        n_parameters: the number of parameters of a problem.
        seed: the seed of the draw, where there are more than the oracle can run.

    Returns: the problems with the largest differences, then a random sample of the others, empty
        if there are no others.

    >>> a, b = np.array([0.5, 0.5, 0.5]), np.array([0.5, 0.7, 0.5])
    >>> problems_to_measure({"a": a, "b": b}, "float64", 2, 0)
    ([1], [])
    """
    shares = np.zeros(max(map(len, objectives.values())))
    for a, b in itertools.combinations(objectives.values(), 2):
        chosen, difference = disputed(a, b, dtype), differences(a, b)
        total = np.sum(difference, where=np.isfinite(difference)) or 1.0
        shares[chosen] = np.maximum(shares[chosen], difference[chosen] / total)
    order = np.argsort(-shares, kind="stable")[: np.count_nonzero(shares)]
    most = min(max(COMPONENTS_MEASURED // n_parameters, FEWEST_MEASURED), MOST_MEASURED)
    if len(order) <= most:
        return order.tolist(), []
    n_largest = most // 2
    rng = np.random.Generator(np.random.Philox(key=np.array([8, seed], dtype=np.uint64)))
    drawn = rng.choice(order[n_largest:], most - n_largest, replace=False)
    return order[:n_largest].tolist(), sorted(drawn.tolist())


class MeanComparison(NamedTuple):
    """The mean of one implementation beside that of another, on the problems that both have.

    Runs that diverged in both are left out of both means.

    Attributes:
        implementation: the one.
        other: the other.
        n_problems: the number of problems that both have.
        mean: the mean of the one.
        other_mean: the mean of the other.
        error: |difference of the means|.
        bound: what the problems earn.
        n_disputed: the number of problems that make up the difference.
        n_measured: how many of these the oracle ran.
        deviation: where the one deviates from the oracle; or that the means differ by more than the
            bound, though neither is known to deviate; empty otherwise.
    """

    implementation: str
    other: str
    n_problems: int
    mean: float
    other_mean: float
    error: float
    bound: float
    n_disputed: int
    n_measured: int
    deviation: str


def compare_means(
    objectives: Mapping[str, Float],
    earned: EarnedBound,
    measured: Sequence[int],
    n_drawn: int,
    dtype: str,
) -> list[MeanComparison]:
    """Hold the mean of each implementation to that of each other one.

    Each problem that the oracle ran is held to its own bound; the chaotic ones, which are like
    draws from a distribution, by their mean. The means of all problems may differ by what the
    disputed ones earn. Where there were too many, those that the oracle did not run earn what
    the sample of them does.

    Args:
        objectives: the meta-objectives of each implementation.
        earned: the oracle's, of the problems that it ran.
        measured: which problems these are.
        n_drawn: how many of them, at the end, are a sample of more.
        dtype: the dtype of the computation.
    """
    bounds = dict(zip(measured, earned.bound.tolist(), strict=True))
    sample = [bounds[i] for i in measured[len(measured) - n_drawn :]] if n_drawn else [0.0]
    compared = []
    for name, other in itertools.permutations(objectives, 2):
        a, b = objectives[name], objectives[other]
        chosen = disputed(a, b, dtype)
        n = min(len(a), len(b))
        known = [i for i in chosen.tolist() if i in bounds]
        unknown = len(chosen) - len(known)
        both = np.isfinite(a[:n]) & np.isfinite(b[:n])
        mean, other_mean = _mean(a[:n][both]), _mean(b[:n][both])
        size = max(abs(mean), abs(other_mean))
        # Two implementations, each of which may be off by the bound.
        total = 2 * (sum(bounds[i] for i in known) + unknown * float(np.mean(sample)))
        bound = unimportant(dtype) * size + total / max(int(both.sum()), 1)
        error = abs(mean - other_mean)
        deviation = _deviation(a[:n], earned, measured)
        if error > bound and not deviation and not _deviation(b[:n], earned, measured):
            deviation = f"the means differ by {error:.1g}, but their problems earn {bound:.1g}"
        compared.append(
            MeanComparison(
                *(name, other, n, mean, other_mean, error, bound),
                *(len(chosen), len(known), deviation),
            )
        )
    return compared


def _deviation(objective: Float, earned: EarnedBound, measured: Sequence[int]) -> str:
    """The first deviation from the oracle in words; empty if there is none."""
    places = [k for k, i in enumerate(measured) if i < len(objective)]
    actual = objective[[measured[k] for k in places]]
    expected, bound = earned.objective[places], earned.bound[places]
    is_chaotic = earned.is_chaotic[places]
    errors = differences(actual, expected)
    for k in np.flatnonzero((errors > bound) & ~is_chaotic).tolist():
        return (
            f"meta-objective of problem {measured[places[k]]} = {actual[k]:.6g}, but should be "
            f"{expected[k]:.6g} ± {bound[k]:.1g}"
        )
    pooled = is_chaotic & np.isfinite(bound)
    allowed = _mean(bound[pooled])
    if abs(_mean(actual[pooled]) - _mean(expected[pooled])) > allowed:
        return (
            f"mean meta-objective of the {pooled.sum()} chaotic problems that were repeated = "
            f"{_mean(actual[pooled]):.6g}, but should be {_mean(expected[pooled]):.6g} ± "
            f"{allowed:.1g}"
        )
    return ""


def _mean(values: Float) -> float:
    return float(np.mean(values)) if values.size else float("nan")
