"""Types of columns and frames, and the columns that several frames share."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from loptbench.results.frames.contents import Contents

Block = Mapping[str, Any]
"""Some rows of a frame: for each column a list or an array, or a single value for all of them."""


class Column(NamedTuple):
    """The contents of a column.

    Attributes:
        description: its meaning.
        unit: the unit of its numbers; empty for text, counts and numbers without a unit.
        dtype: its pandas dtype. Text is `str`, which is `object` before pandas 3.
    """

    description: str
    unit: str = ""
    dtype: str = "str"


@dataclasses.dataclass(frozen=True)
class Frame:
    """A table that can be made from any store.

    Attributes:
        description: what one row is.
        columns: its columns, in order.
        blocks: makes its rows from the contents of a store.
    """

    description: str
    columns: Mapping[str, Column]
    blocks: Callable[[Contents], Iterable[Block]]


def number(description: str, unit: str = "") -> Column:
    """A column of floating-point numbers; NaN where there is none."""
    return Column(description, unit, "float64")


def count(description: str, unit: str = "") -> Column:
    """A column of integers; NA where there is none."""
    return Column(description, unit, "Int64")


def flag(description: str) -> Column:
    """A column of truth values; NA where there is none."""
    return Column(description, "", "boolean")


OPTIMIZER = {
    "implementation": Column("the implementation that ran the trial"),
    "task": Column("the task"),
    "role": Column(
        "checkpoint (learned), tuned, baselines (all tuned ones), adapted, control or case"
    ),
    "optimizer": Column("the optimizer's name"),
    "dtype": Column("the dtype of the computation"),
}
"""The columns that identify an optimizer, first in most frames."""

TRAINING = {
    "preset": Column("the preset of the meta-training; empty unless the optimizer is learned"),
    "trained_by": Column("the implementation that meta-trained it; empty unless it is learned"),
    "meta_seed": count("the seed of the meta-training; NA unless the optimizer is learned"),
    "kind": Column(
        "exploratory, if its seed is below 10 or unknown; else confirmatory; empty unless the "
        "optimizer is learned"
    ),
}
"""Further columns of learned optimizers."""

RECORD = {"record": Column("the name of the record, as in the frame `trials`")}
