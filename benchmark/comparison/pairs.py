"""Which rows of two stores belong together, and whether two numbers differ visibly."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loptbench.comparison.store_view import IDENTITY, StoreView
from loptbench.results.frames.trials import NOT_RUN

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
    pairs = zip(np.asarray(a, np.float64), np.asarray(b, np.float64), strict=True)
    return np.array(
        [not math.isclose(*pair, rel_tol=SHOWN) and not np.isnan(pair).all() for pair in pairs],
        np.bool_,
    )


def side_by_side(a: "DataFrame", b: "DataFrame", *, on: Sequence[str]) -> "DataFrame":
    """All rows of two frames, those with the same identifying columns joined.

    Args:
        a: A's.
        b: B's, with the same columns.
        on: the identifying columns.

    Returns: the identifying columns; the others, with `_a` or `_b` behind their names; and
        `only_in`: "A", "B", or "" for a row of both. In A's order, then B's.
    """
    a, b = (side.assign(place=range(len(side))) for side in (a, b))
    table = a.merge(b, on=list(on), how="outer", suffixes=("_a", "_b"), indicator="only_in")
    only_in = table["only_in"].map({"left_only": "A", "right_only": "B", "both": ""}).astype("str")
    table = table.assign(only_in=only_in).sort_values(["place_a", "place_b"], ignore_index=True)
    return table.drop(columns=["place_a", "place_b"])


def paired(
    a: StoreView, b: StoreView, trial: str, rows: "Sequence[DataFrame]", on: Sequence[str]
) -> "DataFrame":
    """The rows of trials of a kind that have a record in both, side by side.

    The trials are of one seed, or, where each store has a single one, of two seeds.

    Args:
        a: A.
        b: B.
        trial: the kind of trial.
        rows: A's rows and B's, each with a column `record`.
        on: what identifies a row among those of a record.

    Returns: as `side_by_side`, with the columns `SAME_RECORDS`, where `seed` says both seeds if
        they differ.
    """
    columns = [*PLACE, "seed", "record"]
    is_run = f"trial == {trial!r} and status != {NOT_RUN!r}"
    ran_a, ran_b = (view.frame("trials").query(is_run)[columns] for view in (a, b))
    trials = ran_a.merge(ran_b, on=PLACE, suffixes=("_a", "_b"))
    is_same_seed = trials["seed_a"] == trials["seed_b"]
    trials = trials[is_same_seed | ~trials.duplicated(PLACE, keep=False)]
    seed_a, seed_b = trials["seed_a"].astype("str"), trials["seed_b"].astype("str")
    seed = seed_a.where(is_same_seed, seed_a + " in A, " + seed_b + " in B")
    trials = trials.assign(seed=seed).sort_values([*PLACE, "seed"])
    of_record = trials[[name for name in SAME_RECORDS if name not in on]]
    sides = [
        of_record.merge(table.rename(columns={"record": record}), on=record)
        for table, record in zip(rows, ("record_a", "record_b"), strict=True)
    ]
    return side_by_side(*sides, on=[*of_record, *on])
