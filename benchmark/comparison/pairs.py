"""Which rows of two stores belong together, and whether two numbers differ visibly."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loptbench.comparison.store_view import IDENTITY, StoreView

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 5e-5
"""The relative difference from which four digits show it: half a unit of the fourth of 9.999."""

PLACE = [name for name in IDENTITY if name not in ("trial", "seed")]
SAME_RECORDS = (*PLACE, "seed", "seed_a", "seed_b", "record_a", "record_b")


def differ(a: Any, b: Any) -> NDArray[np.bool_]:
    """Whether numbers differ by what four digits can show; NaN is equal to NaN alone.

    >>> differ([1.0, 1.0, np.nan, np.inf], [1.00001, 1.1, np.nan, 1.0]).tolist()
    [False, True, False, True]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(invalid="ignore"):
        far = np.abs(a - b) > SHOWN * np.maximum(np.abs(a), np.abs(b))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(np.where(np.isfinite(a) & np.isfinite(b), far, ~same), np.bool_)


def side_by_side(a: "DataFrame", b: "DataFrame", *, on: Sequence[str]) -> "DataFrame":
    """All rows of two frames, those with the same identifying columns joined.

    Args:
        a: A's.
        b: B's, with the same columns.
        on: the identifying columns.

    Returns: the identifying columns; the others, with `_a` or `_b` behind their names; and
        `only_in`: "A", "B", or "" for a row of both. In A's order, then B's.
    """
    table = a.merge(b, on=list(on), how="outer", suffixes=("_a", "_b"), indicator="only_in")
    only_in = table["only_in"].map({"left_only": "A", "right_only": "B", "both": ""}).astype("str")
    places = {key: i for i, key in reversed(list(enumerate(_keys(a, on) + _keys(b, on))))}
    order = np.argsort([places[key] for key in _keys(table, on)], kind="stable")
    return table.assign(only_in=only_in).iloc[order].reset_index(drop=True)


def _keys(table: "DataFrame", on: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(table[list(on)].itertuples(index=False, name=None))


def paired_trials(a: StoreView, b: StoreView, trial: str) -> "DataFrame":
    """The trials of a kind that have a record in both.

    They are of one seed, or, where each store has a single one, of two seeds.

    Returns: the columns `SAME_RECORDS`, where `seed` says both seeds if they differ.
    """
    import pandas as pd

    sides = []
    for view in (a, b):
        rows = view.trials[(view.trials["trial"] == trial) & (view.trials["status"] != "not run")]
        sides.append(rows[[*PLACE, "seed", "record"]])
    both = sides[0].merge(sides[1], on=[*PLACE, "seed"], suffixes=("_a", "_b"))
    both = both.assign(seed_a=both["seed"], seed_b=both["seed"], seed=both["seed"].astype("str"))
    matched = set(_keys(both, PLACE))
    single = [
        rows[
            ~rows.duplicated(PLACE, keep=False)
            & np.array([key not in matched for key in _keys(rows, PLACE)], bool)
        ]
        for rows in sides
    ]
    other = single[0].merge(single[1], on=PLACE, suffixes=("_a", "_b"))
    words = other["seed_a"].astype("str") + " in A, " + other["seed_b"].astype("str") + " in B"
    table = pd.concat([both, other.assign(seed=words)], ignore_index=True)
    return table[list(SAME_RECORDS)].sort_values([*PLACE, "seed"], ignore_index=True)
