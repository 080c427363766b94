"""Judge the claims on the results in a store."""

from pathlib import Path

from loptbench.claims.catalogue import LATEST, load_edition
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.results.frames import Contents
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Store


def judge(store: Store | Path | str, claims: int | str | Path = LATEST) -> list[Verdict]:
    """The verdicts on every claim that the results of the last run can decide.

        verdicts = judge("loptbench-results")

    Args:
        store: a store, or its folder.
        claims: the edition of the claims, 1 or 2, or a file of claims.

    Returns:
        The verdicts on each checkpoint first, then those over the seeds of each preset.

    Raises:
        StoreError: the folder is not a store.
        ClaimsError: the claims cannot be read, or one of them cannot be judged.
    """
    store = store if isinstance(store, Store) else Store.open(Path(store))
    edition = load_edition(claims)
    return judge_all(evidence_of(Contents.of(store)), edition)
