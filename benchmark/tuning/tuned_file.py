"""Files of tuned baselines, and searches that write them and can be resumed.

A file is JSON: provenance, and one entry for each task and baseline. While a search runs, its draws
are saved in a file with the suffix `.partial`. A search that is killed resumes from its last block
and ends with the same bytes.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES
from loptbench.reading import parse_json, read_file, require_table
from loptbench.results.provenance import environment, versions_of
from loptbench.results.schema.base import first_problem
from loptbench.rollout.offered import task_not_offered
from loptbench.storage.files import lock, write_atomically
from loptbench.tasks import Task, argument_of, definition
from loptbench.tuning.entries import EDGE_FRACTION as EDGE_FRACTION
from loptbench.tuning.entries import TunedBaseline
from loptbench.tuning.partial_file import resume, save
from loptbench.tuning.ranges import RANGES
from loptbench.tuning.search import (
    Draws,
    Settings,
    default_settings,
    hyperparameters,
    replaced,
    search,
    winner,
)

FORMAT = "loptbench-tuned"
FORMAT_VERSION = 1
SHIPPED: dict[str, tuple[str, ...]] = {
    "jax": ("quadratic", "rosenbrock", "two_moons", "digits"),
    "torch": ("quadratic", "rosenbrock"),
}
"""Tasks of the shipped searches, by implementation. The search of JAX is used; that of PyTorch is
for comparison."""

N_BEST_DRAWS = 20
"""Best draws in an entry of the file; they show how flat the optimum is."""


Search = tuple[Task, str, Settings]
"""Task, baseline and settings of one search."""


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
        """The baselines tuned on exactly this task, in the order of `BASELINES`.

        Raises:
            LoptbenchError: the file has none for it, or they were tuned on other problems.
        """
        named = self._tuned_on(task, is_adapted=False)
        if not named:
            raise LoptbenchError(
                f"{self.source} has no baselines tuned on {task.name!r}; make them with "
                f"{_how_to_tune(task)}"
            )
        order = list(BASELINES)
        return sorted(named, key=lambda entry: order.index(entry.kind))

    def adapted(self, task: Task) -> list[TunedBaseline]:
        """The adapted optimizers tuned on exactly this task; there may be none.

        Raises:
            LoptbenchError: they were tuned on other problems.
        """
        return self._tuned_on(task, is_adapted=True)

    def _tuned_on(self, task: Task, is_adapted: bool) -> list[TunedBaseline]:
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
            {name: value for name, value in _as_json(entry).items() if name in names}
            for entry in self.entries
        ]
        expected: list[Any] = json.loads(json.dumps([_describe(search_) for search_ in searches]))
        return (self.provenance["implementation"], tuned) == (implementation.name, expected)


_ENTRIES = TypeAdapter(list[TunedBaseline])
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
        entries = _ENTRIES.validate_python(value["entries"])
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


def _describe(search_: Search) -> dict[str, Any]:
    """A search as JSON values."""
    task, kind, settings = search_
    searched = {"kind": kind, "task": definition(task), "settings": dataclasses.asdict(settings)}
    if kind not in BASELINES:
        searched["ranges"] = {k: dataclasses.asdict(v) for k, v in RANGES[kind].items()}
    return searched


def _provenance(implementation: Any) -> dict[str, Any]:
    return {
        "implementation": implementation.name,
        "versions": versions_of(implementation),
        **environment(),
    }


def _identity(implementation: Any, searches: Iterable[Search]) -> dict[str, Any]:
    """What the caller chooses and what determines the bytes of the file."""
    return {
        "implementation": implementation.name,
        "versions": versions_of(implementation),
        "searches": [_describe(search_) for search_ in searches],
        "ranges": {
            kind: {name: dataclasses.astuple(range_) for name, range_ in ranges.items()}
            for kind, ranges in RANGES.items()
            if kind in BASELINES
        },
    }


def plan_searches(
    implementation: Any,
    tasks: Iterable[Task],
    kinds: Collection[str] = tuple(BASELINES),
    **changes: Any,
) -> list[Search]:
    """The searches of these baselines on each of these tasks, with the settings of the shipped one.

    Args:
        implementation: computes the runs.
        tasks: the tasks.
        kinds: the baselines.
        changes: settings to replace, as in `loptbench.tuning.search.replaced`.

    Raises:
        LoptbenchError: the implementation does not compute one of them.
    """
    searches = []
    for task in tasks:
        for kind in kinds:
            settings = replaced(default_settings(task.name, implementation.dtypes), changes)
            if reason := task_not_offered(implementation, task):
                raise LoptbenchError(f"{reason}; name another --implementation")
            for label, name, declared in (
                ("baseline", kind, implementation.optimizers),
                ("dtype", settings.dtype, implementation.dtypes),
                ("dtype", "float64", implementation.dtypes),
            ):
                if name not in declared:
                    raise LoptbenchError(
                        f"{implementation.name} does not compute the {label} {name!r}"
                    )
            searches.append((task, kind, settings))
    return searches


def tune(
    implementation: Any,
    searches: Sequence[Search],
    output: Path,
    report: Callable[[int, str], None] = lambda *_: None,
) -> Tuned:
    """Run searches, and write their results to `output`.

    After an interruption, a call with the same arguments resumes from the last block.

    Args:
        implementation: computes the runs.
        searches: task, baseline and settings of each search.
        output: the file to write; it must not exist yet.
        report: called with the number of all draws done and a line of text.

    Raises:
        LoptbenchError: the file exists or cannot be written, another process is searching for it,
            the partial one belongs to another configuration, or every draw of a search diverged.
    """
    partial = output.with_name(f"{output.name}.partial")
    with lock(partial, "a search"):
        return _tune(implementation, searches, output, partial, report)


def _tune(
    implementation: Any,
    searches: Sequence[Search],
    output: Path,
    partial: Path,
    report: Callable[[int, str], None],
) -> Tuned:
    if output.exists():
        raise LoptbenchError(f"{output} exists and is not overwritten; name another file")
    identity = json.loads(json.dumps(_identity(implementation, searches)))
    finished, unfinished = resume(partial, identity, _ENTRIES.validate_python)
    n_done = 0
    for task, kind, settings in searches:
        name = f"{task.name}/{kind}"
        if name not in finished:
            draws = unfinished.get(name, Draws.none(len(RANGES[kind])))
            report(n_done + len(draws.score), f"{kind} on {task.name}")
            for draws in search(implementation, task, kind, settings, draws):  # noqa: B020
                save(partial, identity, finished, {name: draws})
                report(n_done + len(draws.score), f"{kind} on {task.name}: best {draws.best:.5g}")
            draw, score = winner(implementation, task, kind, settings, draws)
            entry = _entry(task, kind, settings, draws, draw, score)
            finished[name] = _as_json(entry)
            save(partial, identity, finished, {})
        n_done += settings.n_total
        report(n_done, f"{kind} on {task.name}: {finished[name]['score']:.5g}")
    value = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": _provenance(implementation),
        "entries": list(finished.values()),
    }
    write_atomically(output, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
    partial.unlink()
    return load_tuned(output)


def _entry(
    task: Task, kind: str, settings: Settings, draws: Draws, draw: int, score: float
) -> TunedBaseline:
    order = np.argsort(draws.score, kind="stable")
    order = order[np.isfinite(draws.score[order])][:N_BEST_DRAWS]
    values = hyperparameters(kind, draws.places)
    rows = [
        {name: float(column[i]) for name, column in values.items()}
        | {"score": float(draws.score[i])}
        for i in order
    ]
    return TunedBaseline(
        kind=kind,
        task=definition(task),
        settings=dataclasses.asdict(settings),
        hyperparameters={name: float(column[draw]) for name, column in values.items()},
        score=score,
        draw=draw,
        places=dict(zip(values, draws.places[draw].tolist(), strict=True)),
        n_complete=int(np.sum(np.isfinite(draws.score))),
        n_diverged=int(np.sum(draws.diverged)),
        best=rows,
        ranges=None if kind in BASELINES else dict(RANGES[kind]),
    )


def _as_json(entry: TunedBaseline) -> dict[str, Any]:
    """An entry of the file; baselines have no ranges of their own."""
    value = dataclasses.asdict(entry)
    if entry.ranges is None:
        del value["ranges"]
    return value
