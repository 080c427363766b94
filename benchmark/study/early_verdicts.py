"""The first verdicts of a run, told while it goes on."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from loptbench.claims.catalogue import load_edition
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.results.frames import Contents
from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.results.schema.verdicts import Scope
from loptbench.results.store import Store


class EarlyVerdicts:
    """Judges the first learned optimizer of each task as soon as it is measured.

    Args:
        keys: the trials of the run.
        store: their store.
        claims: the edition of the claims, or a file of claims.
    """

    def __init__(self, keys: Iterable[TrialKey], store: Store, claims: int | str | Path) -> None:
        self.store, self.edition = store, load_edition(claims)
        baselines: dict[tuple[str, str], TrialKey] = {}
        own: dict[tuple[str, str, str], list[TrialKey]] = defaultdict(list)
        for key in keys:
            place = key.implementation, key.task
            if key.trial is TrialKind.EVALUATION and key.optimizer.role is Role.BASELINES:
                baselines[place] = key
            elif key.trial is not TrialKind.CONFORMANCE and key.optimizer.role is Role.CHECKPOINT:
                own[*place, key.optimizer.name].append(key)
        self.waiting = [
            [baselines[place[0], place[1]], *measurements]
            for place, measurements in own.items()
            if len(measurements) == 2 and place[:2] in baselines
        ]

    def sentences(self) -> list[str]:
        """A sentence for each task of which the first learned optimizer has been measured since."""
        sentences = []
        for keys in self.waiting:
            task = keys[0].task
            if all(self.store.has(key) for key in keys):
                self.waiting = [other for other in self.waiting if other[0].task != task]
                sentences += self._judged(keys)
        return sentences

    def _judged(self, keys: list[TrialKey]) -> list[str]:
        records = [record for record in map(self.store.get, keys) if record is not None]
        by_outcome: dict[str, list[str]] = defaultdict(list)
        for verdict in judge_all(evidence_of(Contents(records)), self.edition):
            if verdict.scope is Scope.CHECKPOINT:
                by_outcome[str(verdict.outcome)].append(verdict.title)
        if not by_outcome:
            return []
        parts = [f"{outcome}: {', '.join(titles)}" for outcome, titles in by_outcome.items()]
        return [f"first verdicts on {keys[0].task}, {keys[1].optimizer.name}: {'; '.join(parts)}"]
