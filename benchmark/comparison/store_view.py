"""One of two stores that are compared: its frames, and what had to be left out."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loptbench.errors import StoreError
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.keys import TrialKey
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
    _frames: "dict[str, DataFrame]" = dataclasses.field(default_factory=dict, repr=False)

    def frame(self, name: str) -> "DataFrame":
        """A frame of the store, made once.

        One of trials also has the column `label`, the optimizer in words, and those of `IDENTITY`.
        """
        if name not in self._frames:
            self._frames[name] = self._made(name)
        return self._frames[name]

    def _made(self, name: str) -> "DataFrame":
        table = frame_of(self.contents, name)
        if "record" not in table:
            return table
        if name != "trials":
            trials = self.frame("trials")
            more = [column for column in IDENTITY if column not in table]
            table = table.merge(trials[[*more, "record"]], on="record")
        labels = list(map(optimizer_label, table["role"], table["optimizer"]))
        return table.assign(label=labels).astype({"label": "str"})


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
    counts = Counter(trial_words(record.key) for record in contents.records)
    left_out += [
        f"{n_records} records are of {words}, and nothing says which is meant"
        for words, n_records in counts.items()
        if n_records > 1
    ]
    unique = [record for record in contents.records if counts[trial_words(record.key)] == 1]
    compared = dataclasses.replace(contents, records=unique, unplanned=())
    return StoreView(str(store.folder), compared, left_out)


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
