"""Compare two stores, given as stores or folders."""

from pathlib import Path

from loptbench.comparison.stores import StoreComparison
from loptbench.comparison.stores import compare as compare_stores
from loptbench.results.store import Store


def compare(a: Store | Path | str, b: Store | Path | str) -> StoreComparison:
    """Compare the results in two stores, trial by trial and verdict by verdict.

        changed = compare("results-before", "results-after").verdicts_changed

    Args:
        a: a store, or its folder.
        b: the other one.

    Raises:
        StoreError: one of the folders is not a store.
    """
    stores = (side if isinstance(side, Store) else Store.open(Path(side)) for side in (a, b))
    return compare_stores(*stores)
