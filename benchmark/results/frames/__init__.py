"""Results as tables: `frame(store, name)` makes a pandas DataFrame with documented columns."""

from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.errors import StoreError
from loptbench.results.frames import (
    adaptation,
    checkpoints,
    checks,
    clipping,
    evaluation,
    means,
    mechanisms,
    momentum,
    schedule,
    trials,
    verdicts,
    views,
)
from loptbench.results.frames.columns import Block, Column, Frame
from loptbench.results.frames.contents import Contents, Readable
from loptbench.results.frames.evaluation import best_baselines
from loptbench.results.schema.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pandas import DataFrame

__all__ = [
    "FRAMES",
    "Column",
    "Contents",
    "Frame",
    "best_baselines",
    "frame",
    "frame_of",
]

FRAMES: dict[str, Frame] = {
    "trials": trials.TRIALS,
    "evaluations": evaluation.EVALUATIONS,
    "ratios": evaluation.RATIOS,
    "curves": evaluation.CURVES,
    "problems": mechanisms.PROBLEMS,
    "checks": checks.CHECKS,
    "comparisons": checks.COMPARISONS,
    "check_steps": checks.CHECK_STEPS,
    "means": means.MEANS,
    "mechanisms": mechanisms.MECHANISMS,
    "modes": momentum.MODES,
    "impulse_responses": momentum.IMPULSE_RESPONSES,
    "update_functions": clipping.UPDATE_FUNCTIONS,
    "gradient_density": clipping.GRADIENT_DENSITY,
    "schedules": schedule.SCHEDULES,
    "adaptation": adaptation.ADAPTATION,
    "paths": views.PATHS,
    "updates_along_curves": views.UPDATES_ALONG_CURVES,
    "meta_training": evaluation.META_TRAINING,
    "checkpoints": checkpoints.CHECKPOINTS,
    "tuning": evaluation.TUNING,
    "verdicts": verdicts.VERDICTS,
    "specifications": verdicts.SPECIFICATIONS,
    "timings": trials.TIMINGS,
    "provenance": trials.PROVENANCE,
}
"""All frames by name. Except for `trials`, they hold the records of the last run's plan only."""


def frame(store: Readable, name: str) -> "DataFrame":
    """A frame of a store.

    Raises:
        StoreError: there is no frame of this name.
    """
    _require_frame(name)
    return frame_of(Contents.of(store), name)


def frame_of(contents: Contents, name: str) -> "DataFrame":
    """A frame of the contents of a store, or of a list of records.

    Raises:
        StoreError: there is no frame of this name.

    >>> frame_of(Contents(records=[]), "ratios").columns[-4:].tolist()
    ['value', 'low', 'high', 'record']
    """
    selected = _require_frame(name)
    return _assemble(selected.columns, selected.blocks(contents))


def require_consistent(record: Record) -> None:
    """Refuse a record that no frame can be made of, though each of its fields is valid.

    Raises:
        ValueError: arrays that belong together have different lengths, or an entry is missing.
    """
    contents = Contents([record])
    for name, selected in FRAMES.items():
        try:
            for block in selected.blocks(contents):
                _n_rows(block)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"no {name} can be read from it: {error}") from error


def _n_rows(block: "Block") -> int:
    lengths = {len(value) for value in block.values() if isinstance(value, _SEQUENCES)} or {1}
    if len(lengths) > 1:
        raise ValueError(f"arrays that belong together have {sorted(lengths)} entries")
    return lengths.pop()


def _require_frame(name: str) -> Frame:
    if name not in FRAMES:
        raise StoreError(f"there is no frame {name!r}; the frames are {', '.join(FRAMES)}")
    return FRAMES[name]


_SEQUENCES = (list, np.ndarray)


def _assemble(columns: "Mapping[str, Column]", blocks: "Iterable[Block]") -> "DataFrame":
    import pandas as pd

    values: dict[str, list[Any]] = {name: [] for name in columns}
    for block in blocks:
        n_rows = _n_rows(block)
        for name, column in values.items():
            value = block[name]
            column.extend(value if isinstance(value, _SEQUENCES) else [value] * n_rows)
    return pd.DataFrame(
        {name: pd.Series(values[name], dtype=column.dtype) for name, column in columns.items()}
    )
