"""The state of a meta-training between two outer steps, and the file that it is saved in."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.protocol import OuterState
from loptbench.reading import parse_json, require_table
from loptbench.storage.files import write_atomically
from loptbench.storage.weights import read_safetensors, safetensors_bytes

PARTIAL_FORMAT = 4
"""Format version of the files that progress is saved in."""


@dataclasses.dataclass
class SeedRun:
    """The state of one seed's meta-training between two outer steps; saves write all of it.

    Attributes:
        outer: weights and memory of the outer optimizer.
        best: those of the best validation so far.
        average: the running average of the weights; empty if none is kept.
        step: outer steps taken.
        best_step: the step of the best validation.
        best_validation: its meta-objective.
        n_skipped: outer steps whose meta-gradient was not finite.
        n_consecutive_skipped: how many of them were the last ones.
        n_rollbacks: how often it went back to `best`.
        ended: whether it has reached a plateau; further outer steps do not count.
        log: a row for each validation.
    """

    outer: OuterState
    best: OuterState
    average: dict[str, Any] = dataclasses.field(default_factory=dict)
    step: int = 0
    best_step: int = 0
    best_validation: float = float("inf")
    n_skipped: int = 0
    n_consecutive_skipped: int = 0
    n_rollbacks: int = 0
    ended: bool = False
    log: list[dict[str, float]] = dataclasses.field(default_factory=list)

    COUNTS = (
        *("step", "best_step", "best_validation", "n_skipped", "n_consecutive_skipped"),
        *("n_rollbacks", "ended", "log"),
    )

    def arrays(self) -> dict[str, dict[str, Any]]:
        """All arrays, in groups."""
        return {
            "parameters": dict(self.outer.parameters),
            "memory": dict(self.outer.memory),
            "best": dict(self.best.parameters),
            "best_memory": dict(self.best.memory),
            "average": dict(self.average),
        }

    def copy(self) -> "SeedRun":
        """The same state, which further outer steps of this one do not change."""
        return dataclasses.replace(self, log=list(self.log))

    def counts(self) -> dict[str, Any]:
        """All fields that are not arrays."""
        return {name: getattr(self, name) for name in self.COUNTS}


def save(runs: Sequence[SeedRun], path: Path, identity: str) -> None:
    """Write all runs to one file, so that they are at the same step also after a kill."""
    arrays = {
        f"{i}/{group}/{name}": np.asarray(value)
        for i, run in enumerate(runs)
        for group, values in run.arrays().items()
        for name, value in values.items()
    }
    counts = json.dumps([run.counts() for run in runs])
    write_atomically(path, safetensors_bytes(arrays, {"identity": identity, "counts": counts}))


def _counts(value: Any) -> dict[str, Any]:
    """What `SeedRun.counts` wrote.

    Raises:
        ValueError: it is something else.
    """
    counts = require_table(value, "counts")
    types: dict[str, Any] = {"log": list, "best_validation": float | int, "ended": bool}
    for name in SeedRun.COUNTS:
        if not isinstance(counts.get(name), types.get(name, int)):
            raise ValueError(f"{name} is {counts.get(name)!r}")
    if not all(isinstance(line, dict) for line in counts["log"]):
        raise ValueError("log should hold tables")
    return counts


def load(path: Path, identity: str) -> list[SeedRun]:
    """What `save` wrote.

    Raises:
        LoptbenchError: the file belongs to another run, or is damaged.
    """
    try:
        arrays, metadata = read_safetensors(path)
    except WeightsError as error:
        raise LoptbenchError(f"{error}; remove it to start again") from error
    if metadata.get("identity") != identity:
        raise LoptbenchError(
            f"{path} holds a meta-training of another configuration, task, implementation or "
            "version; "
            "name another --output, or remove it to start again"
        )

    def group(i: int, name: str) -> dict[str, Any]:
        prefix = f"{i}/{name}/"
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    runs = []
    try:
        for i, counts in enumerate(parse_json(metadata["counts"])):
            outer = OuterState(group(i, "parameters"), group(i, "memory")).canonical()
            best = OuterState(group(i, "best"), group(i, "best_memory")).canonical()
            average = dict(sorted(group(i, "average").items()))
            runs.append(SeedRun(outer, best, average, **_counts(counts)))
    except (KeyError, TypeError, ValueError) as error:
        raise LoptbenchError(f"{path} is damaged ({error}); remove it to start again") from error
    return runs
