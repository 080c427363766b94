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
from loptbench.optimizers import BASELINES, EPSILON, OptimizerSpec, baseline
from loptbench.reading import parse_json, read_file, require_table
from loptbench.results.provenance import environment, versions_of
from loptbench.results.schema.base import first_problem
from loptbench.rollout.offered import task_not_offered
from loptbench.storage.files import lock, write_atomically
from loptbench.tasks import Task, argument_of, definition
from loptbench.tuning.search import (
    RANGES,
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

EDGE_FRACTION = 0.02
"""Fraction of the range, at either end, that counts as its edge."""

N_BEST_DRAWS = 20
"""Best draws in an entry of the file; they show how flat the optimum is."""


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

    @property
    def spec(self) -> OptimizerSpec:
        """The tuned optimizer; its hyperparameters are validated."""
        return baseline(self.kind, EPSILON, **self.hyperparameters)

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
            if not EDGE_FRACTION <= place <= 1 - EDGE_FRACTION
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
        """The baselines tuned on exactly this task, in the order of `BASELINES`.

        Raises:
            LoptbenchError: the file has none for it, or they were tuned on other problems.
        """
        named = [entry for entry in self.entries if entry.task["task"] == task.name]
        tune = f"'loptbench tune --task {argument_of(task)}' and give the file with --tuned"
        if not named:
            raise LoptbenchError(
                f"{self.source} has no baselines tuned on {task.name!r}; make them with {tune}"
            )
        expected = definition(task)
        for entry in named:
            if dict(entry.task) != expected:
                differing = [k for k in expected if entry.task.get(k) != expected[k]]
                raise LoptbenchError(
                    f"the baselines in {self.source} were tuned on another {task.name!r} "
                    f"(another {', '.join(differing)}); make them anew with {tune}"
                )
        order = list(BASELINES)
        return sorted(named, key=lambda entry: order.index(entry.kind))

    def matches(self, implementation: Any, searches: Iterable[Search]) -> bool:
        """Whether it holds the results of exactly these searches in that implementation."""
        tuned = [
            {"kind": entry.kind, "task": entry.task, "settings": entry.settings}
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


def shipped_path(implementation: str) -> Path:
    """The path of the shipped search of an implementation."""
    return Path(
        str(resources.files("loptbench.tuning") / "hyperparameters" / f"{implementation}.json")
    )


def _describe(search_: Search) -> dict[str, Any]:
    """A search as JSON values."""
    task, kind, settings = search_
    return {"kind": kind, "task": definition(task), "settings": dataclasses.asdict(settings)}


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
    finished, unfinished = _resume(partial, identity)
    n_done = 0
    for task, kind, settings in searches:
        name = f"{task.name}/{kind}"
        if name not in finished:
            draws = unfinished.get(name, Draws.none(len(BASELINES[kind])))
            report(n_done + len(draws.score), f"{kind} on {task.name}")
            for draws in search(implementation, task, kind, settings, draws):  # noqa: B020
                _save(partial, identity, finished, {name: draws})
                report(n_done + len(draws.score), f"{kind} on {task.name}: best {draws.best:.5g}")
            draw, score = winner(implementation, task, kind, settings, draws)
            entry = _entry(task, kind, settings, draws, draw, score)
            finished[name] = dataclasses.asdict(entry)
            _save(partial, identity, finished, {})
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
    )


def _save(
    partial: Path,
    identity: Mapping[str, Any],
    finished: Mapping[str, Any],
    unfinished: Mapping[str, Draws],
) -> None:
    value = {
        "identity": identity,
        "finished": finished,
        "found": {
            name: {field: array.tolist() for field, array in dataclasses.asdict(draws).items()}
            for name, draws in unfinished.items()
        },
    }
    write_atomically(partial, json.dumps(value).encode())


def _resume(partial: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Draws]]:
    if not partial.exists():
        return {}, {}
    try:
        value = require_table(parse_json(read_file(partial)), "it")
        before = require_table(value["identity"], "identity")
        finished = require_table(value["finished"], "finished")
        _ENTRIES.validate_python([*finished.values()])
        unfinished = {
            name: _draws(require_table(arrays, name))
            for name, arrays in require_table(value["found"], "found").items()
        }
    except (LoptbenchError, ValueError, KeyError, TypeError) as error:
        raise LoptbenchError(
            f"{partial} is damaged ({error}); move it away to begin anew"
        ) from error
    if before != identity:
        differing = [key for key in identity if before.get(key) != identity[key]]
        raise LoptbenchError(
            f"{partial} is an unfinished search of another configuration (another "
            f"{', '.join(differing)}); finish it with its own arguments, name another --output, or "
            "move it away: nothing was changed"
        )
    return finished, unfinished


def _draws(arrays: Mapping[str, Any]) -> Draws:
    """The draws of an unfinished search; a ValueError if they are not numbers, equally many."""
    score, bound = (np.array(arrays[name], float) for name in ("score", "bound"))
    places = np.array(arrays["places"], float).reshape(len(score), -1)
    diverged = np.array(arrays["diverged"], bool)
    if not score.shape == bound.shape == diverged.shape == (len(places),):
        raise ValueError("the draws are not equally many")
    return Draws(places, score, bound, diverged)
