"""Files of tuned baselines.

A file is JSON: provenance, and one entry for each task and baseline.
`loptbench.tuning.searches` writes it.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from loptbench.adapters.kinds import AdaptedKind
from loptbench.errors import LoptbenchError
from loptbench.optimizers import (
    BASELINES,
    EPSILON,
    HYPERPARAMETERS,
    SCHEDULED,
    SCHEDULES,
    OptimizerSpec,
    baseline,
)
from loptbench.reading import parse_json, read_file, require_table
from loptbench.results.schema.base import first_problem
from loptbench.tasks import Task, argument_of, definition
from loptbench.tuning.ranges import RANGES, Range
from loptbench.tuning.search import Settings

FORMAT = "loptbench-tuned"
FORMAT_VERSION = 1
SHIPPED: dict[str, tuple[str, ...]] = {
    "jax": ("quadratic", "rosenbrock", "two_moons", "digits"),
    "torch": ("quadratic", "rosenbrock"),
}
"""Tasks of the shipped searches, by implementation. The search of JAX is used; that of PyTorch is
for comparison."""

EDGE_FRACTION = 0.02
"""Fraction of the range, at either end, that counts as its edge."""

Search = tuple[Task, str, Settings]
"""Task, baseline and settings of one search."""


@dataclasses.dataclass(frozen=True)
class TunedBaseline:
    """A tuned baseline on a task.

    Attributes:
        kind: the baseline.
        task: the definition of the task: name, settings, data.
        settings: the settings of the search.
        hyperparameters: hyperparameters of the best draw.
        score: its meta-objective in float64, mean over the problems of the search.
        draw: its number; draws from `settings.n_draws` on are from boxes around the best.
        places: places of its hyperparameters in their ranges, 0 to 1.
        n_complete: number of draws that ran to their end.
        n_diverged: number of draws that diverged; all others were dropped early.
        best: hyperparameters and score of the best draws, best first.
        ranges: the ranges of its hyperparameters; None of a baseline, for those are `RANGES`.
    """

    kind: str
    task: Mapping[str, Any]
    settings: Mapping[str, Any]
    hyperparameters: Mapping[str, float]
    score: float
    draw: int
    places: Mapping[str, float]
    n_complete: int
    n_diverged: int
    best: Sequence[Mapping[str, float]]
    ranges: Mapping[str, Range] | None = None

    @property
    def spec(self) -> OptimizerSpec:
        """The tuned optimizer; its hyperparameters are validated."""
        if self.is_adapted:
            return AdaptedKind.parse(self.kind).spec(self.hyperparameters)
        n_steps = self.task["n_steps"]
        return baseline(self.kind, EPSILON, n_steps, **self.hyperparameters)

    @property
    def is_adapted(self) -> bool:
        """Whether it is an adapted optimizer and no baseline; `AdaptedKind.parse` reads its kind.

        Baselines have no colon in their names.
        """
        return ":" in self.kind

    @property
    def searched(self) -> Mapping[str, Range]:
        """The ranges of its hyperparameters."""
        return RANGES[self.kind] if self.ranges is None else self.ranges

    @property
    def n_draws(self) -> int:
        """Number of all draws, those in boxes included."""
        return Settings(**self.settings).n_total

    @property
    def on_edge(self) -> list[str]:
        """The hyperparameters on the edge of their range, which may be too narrow."""
        return [
            name
            for name, place in self.places.items()
            if not EDGE_FRACTION <= place <= 1 - EDGE_FRACTION and not self.searched[name].is_whole
        ]


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A file of tuned baselines.

    Attributes:
        entries: the tuned baselines.
        provenance: implementation, versions, machine.
        source: name of the file in messages.
    """

    entries: list[TunedBaseline]
    provenance: Mapping[str, Any]
    source: str

    def of(self, task: Task) -> list[TunedBaseline]:
        """The baselines without a schedule, tuned on exactly this task, in a fixed order.

        Raises:
            LoptbenchError: the file has none for it, or they were tuned on other problems.
        """
        entries = [entry for entry in self._of(task) if entry.kind in BASELINES]
        return sorted(entries, key=lambda entry: list(BASELINES).index(entry.kind))

    def scheduled(self, task: Task) -> list[TunedBaseline]:
        """The best baseline with each schedule, by its score on the problems of the search.

        Returns: one for each schedule that baselines were tuned with on exactly this task.

        Raises:
            LoptbenchError: they were tuned on other problems.
        """
        entries = [entry for entry in self._of(task) if entry.kind in SCHEDULED]
        return [
            min(own, key=lambda entry: entry.score)
            for schedule in SCHEDULES
            if (own := [item for item in entries if SCHEDULED[item.kind].schedule == schedule])
        ]

    def adapted(self, task: Task) -> list[TunedBaseline]:
        """The adapted optimizers tuned on exactly this task; there may be none.

        Raises:
            LoptbenchError: they were tuned on other problems.
        """
        return self._named(task, is_adapted=True)

    def _of(self, task: Task) -> list[TunedBaseline]:
        """The baselines of this task."""
        named = self._named(task, is_adapted=False)
        if not named:
            raise LoptbenchError(
                f"{self.source} has no baselines tuned on {task.name!r}; make them with "
                f"{_how_to_tune(task)}"
            )
        return named

    def _named(self, task: Task, is_adapted: bool) -> list[TunedBaseline]:
        named = [
            entry
            for entry in self.entries
            if entry.task["task"] == task.name and entry.is_adapted is is_adapted
        ]
        expected = definition(task)
        for entry in named:
            if dict(entry.task) != expected:
                differing = [k for k in expected if entry.task.get(k) != expected[k]]
                raise LoptbenchError(
                    f"the baselines in {self.source} were tuned on another {task.name!r} "
                    f"(another {', '.join(differing)}); make them anew with {_how_to_tune(task)}"
                )
        return named

    def matches(self, implementation: Any, searches: Iterable[Search]) -> bool:
        """Whether it holds the results of exactly these searches in that implementation."""
        names = ("kind", "task", "settings", "ranges")
        tuned = [
            {name: value for name, value in as_json(entry).items() if name in names}
            for entry in self.entries
        ]
        expected: list[Any] = json.loads(json.dumps([describe(search_) for search_ in searches]))
        return (self.provenance["implementation"], tuned) == (implementation.name, expected)


ENTRIES = TypeAdapter(list[TunedBaseline])
"""Validates the entries of a file."""

_SETTINGS = TypeAdapter(Settings)


def load_tuned(path: Path | None = None) -> Tuned:
    """Read a file of tuned baselines; the shipped one if no path is given.

    Raises:
        LoptbenchError: the file is missing, not one of tuned baselines, of a newer format, or holds
            hyperparameters out of their range.
    """
    source = shipped_path("jax") if path is None else path
    try:
        value = parse_json(read_file(source))
    except LoptbenchError as error:
        raise LoptbenchError(f"{error}; make it with 'loptbench tune'") from error
    except ValueError as error:
        raise LoptbenchError(f"{source} is damaged ({error}); make it anew") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise LoptbenchError(f"{source} holds no tuned baselines; make some with 'loptbench tune'")
    if value.get("format_version") != FORMAT_VERSION:
        raise LoptbenchError(
            f"{source} has format version {value.get('format_version')!r}; this loptbench reads "
            f"{FORMAT_VERSION}: install the loptbench that wrote it, or a newer one"
        )
    try:
        entries = ENTRIES.validate_python(value["entries"])
        provenance = require_table(value["provenance"], "provenance")
        for entry in entries:
            entry.spec  # noqa: B018  # raises where a hyperparameter is out of range
            _SETTINGS.validate_python(Settings(**entry.settings).__dict__)
            if not isinstance(entry.task.get("task"), str):
                raise ValueError(f"the task of {entry.kind} has no name")
    except (KeyError, TypeError, ValueError) as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise LoptbenchError(f"{source} is damaged ({reason}); make it anew") from error
    except LoptbenchError as error:
        raise LoptbenchError(f"{source}: {error}") from error
    return Tuned(entries, provenance, "the shipped file" if path is None else str(path))


def load_all_tuned(paths: Sequence[Path]) -> Tuned:
    """Read several files of tuned optimizers as one.

    If none of them has a baseline, as files of adapted optimizers do not, the shipped baselines
    stand beside them.

    Raises:
        LoptbenchError: see `load_tuned`; or two of them hold the same optimizer on the same task.
    """
    files = [load_tuned(path) for path in paths]
    if all(entry.is_adapted for file in files for entry in file.entries):
        files.append(load_tuned())
    holders: dict[tuple[str, str], str] = {}
    for file in files:
        for entry in file.entries:
            place = entry.kind, entry.task["task"]
            if place in holders:
                raise LoptbenchError(
                    f"{holders[place]} and {file.source} both hold {entry.kind} tuned on "
                    f"{entry.task['task']!r}; give one of them"
                )
            holders[place] = file.source
    entries = [entry for file in files for entry in file.entries]
    return Tuned(entries, files[0].provenance, " and ".join(file.source for file in files))


def _how_to_tune(task: Task) -> str:
    return f"'loptbench tune --task {argument_of(task)}' and give the file with --tuned"


def shipped_path(implementation: str) -> Path:
    """The path of the shipped search of an implementation."""
    return Path(
        str(resources.files("loptbench.tuning") / "hyperparameters" / f"{implementation}.json")
    )


def describe(search_: Search) -> dict[str, Any]:
    """A search as JSON values."""
    task, kind, settings = search_
    searched = {"kind": kind, "task": definition(task), "settings": dataclasses.asdict(settings)}
    if kind not in HYPERPARAMETERS:
        searched["ranges"] = {k: dataclasses.asdict(v) for k, v in RANGES[kind].items()}
    return searched


def as_json(entry: TunedBaseline) -> dict[str, Any]:
    """An entry of the file; baselines have no ranges of their own."""
    value = dataclasses.asdict(entry)
    if entry.ranges is None:
        del value["ranges"]
    return value
