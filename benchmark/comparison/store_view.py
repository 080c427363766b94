"""One of two stores that are compared: its frames, and what had to be left out."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loptbench.errors import StoreError
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.records import Record
from loptbench.results.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

IDENTITY = ("trial", "implementation", "role", "optimizer", "task", "seed", "dtype", "device")
"""What a trial is, whatever code and versions ran it: trials of two stores match by these."""


@dataclasses.dataclass(frozen=True)
class StoreView:
    """What a store holds, as far as it can be compared.

    Attributes:
        name: its folder, as it was given.
        contents: its plan and verdicts, and the records of that plan.
        left_out: a sentence for whatever is not compared.
    """

    name: str
    contents: Contents
    left_out: Sequence[str]

    def frame(self, name: str) -> "DataFrame":
        """A frame of the store. One of a record's has the columns `IDENTITY`, in front."""
        table = frame_of(self.contents, name)
        if name == "trials" or "record" not in table:
            return table
        trials = self.trials
        more = [column for column in (*IDENTITY, "record") if column not in table]
        return table.merge(trials[list(dict.fromkeys([*more, "record"]))], on="record")

    @functools.cached_property
    def trials(self) -> "DataFrame":
        """The frame `trials`, with or without a record."""
        return frame_of(self.contents, "trials")

    @property
    def absent_implementations(self) -> dict[str, str]:
        """Why implementations of the plan could not be used, by name."""
        plan = self.contents.plan
        return {
            state.name: f"{state.availability}: {state.reason}"
            for state in (plan.implementations if plan else ())
            if state.availability != "installed"
        }

    @property
    def n_records(self) -> int:
        """The number of trials with a record."""
        return len(self.contents.records)

    @property
    def n_verdicts(self) -> int:
        """The number of verdicts."""
        return len(self.contents.verdicts)


def read(store: Store) -> StoreView:
    """What a store holds. What cannot be read or told apart is left out, with a sentence."""
    contents = Contents.of(store)
    left_out = list(contents.problems)
    if contents.unplanned:
        left_out.append(
            f"{len(contents.unplanned)} records belong to no trial of the store's last run: they "
            "are of other versions, or of another selection"
        )
    try:
        if contents.verdicts and not store.verdicts_are_of(contents.records):
            left_out.append(
                "the verdicts were drawn from other records than those that are compared; "
                "'loptbench run' draws them again"
            )
    except StoreError as error:
        left_out.append(str(error))
    unique = [
        records[0] for records in _by_identity(contents.records, left_out) if len(records) == 1
    ]
    return StoreView(
        str(store.folder), dataclasses.replace(contents, records=unique, unplanned=()), left_out
    )


def _by_identity(records: Sequence[Record], left_out: list[str]) -> list[list[Record]]:
    """Records that are of the same trial together; a sentence for each group of several."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(trial_words(record.key), []).append(record)
    left_out += [
        f"{len(group)} records are of {words}, and nothing says which is meant"
        for words, group in groups.items()
        if len(group) > 1
    ]
    return list(groups.values())


def optimizer_label(role: str, optimizer: str) -> str:
    """An optimizer in words: its name, with its role where the name alone does not tell.

    >>> optimizer_label("tuned", "sgd"), optimizer_label("control", "sgd")
    ('tuned sgd', 'sgd')
    """
    return f"{role} {optimizer}" if role in ("checkpoint", "tuned") else optimizer


def trial_words(key: TrialKey) -> str:
    """A trial in a few words, all that `IDENTITY` holds."""
    label = optimizer_label(str(key.optimizer.role), key.optimizer.name)
    return (
        f"{key.trial} of {label} on {key.task} in {key.implementation}, {key.dtype}, "
        f"seed {key.seed}, {key.device}"
    )
