"""The meta-objectives of two stores side by side, paired over problems where they can be."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loptbench.comparison.pairs import differ, paired
from loptbench.comparison.store_view import StoreView
from loptbench.results.schema.keys import ALONE
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


OPTIMIZER = ["role", "optimizer", "label"]


def objectives(a: StoreView, b: StoreView) -> "DataFrame":
    """The meta-objectives of everything evaluated in both, those that differ most first.

    Returns: a row for each optimizer of each evaluation that both have, with the columns of
        `paired`, and

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

    table = paired(a, b, "evaluation", [_by_optimizer(a), _by_optimizer(b)], OPTIMIZER)
    values = [
        [np.array(numbers if isinstance(numbers, list) else []) for numbers in table[column]]
        for column in ("values_a", "values_b")
    ]
    pairs = list(zip(*values, strict=True))
    for side, of_side in zip("ab", values, strict=True):
        table[f"mean_{side}"] = [
            np.mean(numbers) if numbers.size else math.nan for numbers in of_side
        ]
        table[f"n_problems_{side}"] = [numbers.size for numbers in of_side]
        table[f"n_diverged_{side}"] = [int(np.isinf(numbers).sum()) for numbers in of_side]
    is_alone = table["role"].isin(ALONE)
    fact = np.where(is_alone, "weights", "hyperparameters")
    is_same = _same_facts(a, b, table, fact, table["optimizer"].mask(is_alone, ""))
    nothing = np.full(len(table), "")
    is_same_task = _same_facts(a, b, table, np.full(len(table), "problems"), nothing)
    is_same_seed = table["seed_a"] == table["seed_b"]
    ratios = [
        paired_ratio(of_a, of_b, "" if same_seed else f"seed {seed}")
        if same_task or not (of_a.size and of_b.size)
        else Ratio(why="not the same problems: the task is defined otherwise")
        for (of_a, of_b), same_task, same_seed, seed in zip(
            pairs, is_same_task, is_same_seed, table["seed"], strict=True
        )
    ]
    is_equal = np.array(
        [of_a.size > 0 and np.array_equal(of_a, of_b) for of_a, of_b in pairs], bool
    )
    table = table.drop(columns=["values_a", "values_b", "only_in"]).assign(
        identical=is_equal & is_same_task & is_same_seed.to_numpy(bool),
        note=np.where(is_same, "", "other weights or hyperparameters of the same name"),
        differs=differ(table["mean_a"], table["mean_b"])
        | (table["n_diverged_a"] != table["n_diverged_b"]),
        **pd.DataFrame(ratios, columns=Ratio._fields),
    )
    change = np.abs(np.log(table["ratio"].where(table["ratio"] > 0).astype(float)))
    order = table[["identical"]].assign(differs=~table["differs"], nearness=-change)
    order = order.fillna({"nearness": -math.inf}).sort_values(
        ["differs", "identical", "nearness"], kind="stable"
    )
    return table.loc[order.index].reset_index(drop=True)


def _by_optimizer(view: StoreView) -> "DataFrame":
    """The meta-objectives of all problems, as a list for each record and optimizer."""
    chosen = view.frame("problems").query("quantity == 'objective'")
    lists = chosen.groupby(["record", *OPTIMIZER], sort=False)["value"].agg(list)
    return lists.rename("values").reset_index()


def _same_facts(
    a: StoreView, b: StoreView, table: "DataFrame", fact: Iterable[str], of: Iterable[str]
) -> NDArray[np.bool_]:
    """Whether a fact about the two records of each row is the same."""
    values = []
    for view, record in ((a, "record_a"), (b, "record_b")):
        facts = view.frame("provenance").set_index(["record", "fact", "of"])["value"].to_dict()
        values.append([facts.get(key) for key in zip(table[record], fact, of, strict=True)])
    return np.array([x == y for x, y in zip(*values, strict=True)], bool)


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
