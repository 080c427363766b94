"""The meta-objectives of two stores side by side, paired over problems where they can be."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.comparison.pairs import SAME_RECORDS, differ, paired_trials
from loptbench.comparison.store_view import StoreView, optimizer_label
from loptbench.statistics.bootstrap import Sample, over_problems

if TYPE_CHECKING:
    from pandas import DataFrame


class Ratio(NamedTuple):
    """B's mean meta-objective over A's.

    Attributes:
        ratio: the ratio; NaN if a mean is not finite, or they are of other problems.
        low: the lower end of its paired 95 % interval over problems; NaN if there is none.
        high: the upper end.
        why: why there is no interval; empty if there is one.
    """

    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    why: str = ""


def objectives(a: StoreView, b: StoreView) -> "DataFrame":
    """The meta-objectives of everything evaluated in both, those that differ most first.

    Returns: a row for each optimizer of each evaluation that both have, with the columns of
        `paired_trials`, and

            label                    the optimizer in words
            mean_a, mean_b           the mean over problems; infinite if a run diverged, NaN if none
            n_problems_a, …          the number of problems
            n_diverged_a, …          the number of runs that diverged
            ratio, low, high, why    as `Ratio`
            identical                whether every problem's meta-objective is the same number
            differs                  whether four digits show the difference
            note                     that the weights differ, if they do
    """
    import pandas as pd

    values_a, values_b = _by_optimizer(a), _by_optimizer(b)
    facts_a, facts_b = (
        view.frame("provenance").set_index(["record", "fact", "of"])["value"].to_dict()
        for view in (a, b)
    )
    rows = []
    for trial in paired_trials(a, b, "evaluation").itertuples(index=False):
        ours, theirs = values_a.get(trial.record_a, {}), values_b.get(trial.record_b, {})

        def same(*fact: str, trial: Any = trial) -> bool:
            fact_a = facts_a.get((trial.record_a, *fact))
            return bool(fact_a == facts_b.get((trial.record_b, *fact)))

        for role, name in dict.fromkeys((*ours, *theirs)):
            numbers_a, numbers_b = (
                values.get((role, name), np.zeros(0)) for values in (ours, theirs)
            )
            fact = ("weights", "") if role == "checkpoint" else ("hyperparameters", name)
            is_same_seed, is_same_task = trial.seed_a == trial.seed_b, same("problems", "")
            row = trial._asdict() | {
                "role": role,
                "optimizer": name,
                "label": optimizer_label(role, name),
                "identical": is_same_seed
                and is_same_task
                and numbers_a.size > 0
                and np.array_equal(numbers_a, numbers_b),
                "note": "" if same(*fact) else "other weights or hyperparameters of the same name",
            }
            for side, numbers in (("a", numbers_a), ("b", numbers_b)):
                row |= {
                    f"mean_{side}": float(np.mean(numbers)) if numbers.size else math.nan,
                    f"n_problems_{side}": len(numbers),
                    f"n_diverged_{side}": int(np.sum(np.isinf(numbers))),
                }
            if is_same_task or not (numbers_a.size and numbers_b.size):
                seeds = "" if is_same_seed else f"seed {trial.seed_a} in A, {trial.seed_b} in B"
                ratio = paired_ratio(numbers_a, numbers_b, seeds)
            else:
                ratio = Ratio(why="not the same problems: the task is defined otherwise")
            rows.append(row | ratio._asdict())
    table = pd.DataFrame(rows, columns=[*SAME_RECORDS, *COLUMNS])
    table = table.astype({"identical": bool})
    table["differs"] = differ(table["mean_a"], table["mean_b"]) | (
        table["n_diverged_a"] != table["n_diverged_b"]
    )
    change = np.abs(np.log(table["ratio"].where(table["ratio"] > 0).astype(float)))
    order = pd.DataFrame(
        {"same": ~table["differs"], "identical": table["identical"], "nearness": -change}
    )
    by_change = order.astype(float).fillna(-math.inf).sort_values(list(order), kind="stable")
    return table.loc[by_change.index].reset_index(drop=True)


COLUMNS = (
    *("label", "identical", "note", "mean_a", "n_problems_a", "n_diverged_a"),
    *("mean_b", "n_problems_b", "n_diverged_b", *Ratio._fields),
)


def _by_optimizer(view: StoreView) -> dict[str, dict[tuple[str, str], NDArray[np.float64]]]:
    """The meta-objective of each problem, by record, role and optimizer."""
    problems = view.frame("problems")
    values: dict[str, dict[tuple[str, str], NDArray[np.float64]]] = {}
    chosen = problems[problems["quantity"] == "objective"]
    for (record, role, name), rows in chosen.groupby(["record", "role", "optimizer"], sort=False):
        values.setdefault(record, {})[role, name] = rows["value"].to_numpy()
    return values


def paired_ratio(a: NDArray[np.float64], b: NDArray[np.float64], seeds: str = "") -> Ratio:
    """The ratio of two means, with its paired interval where problems are the same.

    Args:
        a: A's meta-objective of each problem, (n_problems,).
        b: B's, (n_problems,).
        seeds: the seeds of the problems where they differ; empty if they are the same.

    >>> paired_ratio(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    Ratio(ratio=2.0, low=2.0, high=2.0, why='')
    """
    for name, values in (("A", a), ("B", b)):
        if not values.size:
            return Ratio(why=f"{name} has no meta-objectives of it")
    n_diverged = [int(np.sum(np.isinf(values))) for values in (a, b)]
    if any(n_diverged):
        counts = f"{n_diverged[0]} of {len(a)} runs in A, {n_diverged[1]} of {len(b)} runs in B"
        return Ratio(why=f"diverged: {counts}")
    if not np.mean(a):
        return Ratio(why="the mean in A is 0")
    ratio = float(np.mean(b)) / float(np.mean(a))
    if seeds:
        return Ratio(ratio, why=f"not the same problems: {seeds}")
    if len(a) != len(b):
        return Ratio(ratio, why=f"not the same problems: {len(a)} in A, {len(b)} in B")
    if len(a) < 2:
        return Ratio(ratio, why="one problem has no interval")
    if np.array_equal(a, b):  # no resample can differ
        return Ratio(ratio, 1.0, 1.0)
    interval = over_problems(Sample(b, a)).within(0.0, math.inf)
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return Ratio(ratio, why="resamples of it have no finite ratio")
    return Ratio(interval.value, interval.low, interval.high)
