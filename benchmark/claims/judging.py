"""Judge the claims on the results in a store."""

from pathlib import Path

from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.results.frames import Contents
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Store


def judge(store: Store | Path | str) -> list[Verdict]:
    """The verdicts on every claim that the results of the last run can decide.

        verdicts = judge("loptbench-results")

    Args:
        store: a store, or its folder.

    Returns:
        The verdicts on each checkpoint first, then those over the seeds of each preset.

    Raises:
        StoreError: the folder is not a store.
    """
    store = store if isinstance(store, Store) else Store.open(Path(store))
    return judge_all(evidence_of(Contents.of(store)))
