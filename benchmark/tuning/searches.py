"""Searches that write a file of tuned baselines, and can be resumed.

While a search runs, its draws are saved in a file with the suffix `.partial`. A search that is
killed resumes from its last block and ends with the same bytes.
"""

import contextlib
import dataclasses
import functools
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.engines.crossing import SECONDS_OF_A_CALL, OnlyHere
from loptbench.engines.engine import Call, Chain, Engine
from loptbench.engines.local import ThisProcess
from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES, HYPERPARAMETERS
from loptbench.reading import parse_json, read_file, require_table
from loptbench.results.provenance import environment, versions_of
from loptbench.rollout.offered import task_not_offered
from loptbench.storage.files import lock, write_atomically
from loptbench.tasks import Task, definition
from loptbench.tuning.ranges import RANGES, Range, hyperparameters
from loptbench.tuning.search import Draws, Settings, default_settings, replaced, search, winner
from loptbench.tuning.tuned_file import (
    ENTRIES,
    FORMAT,
    FORMAT_VERSION,
    Search,
    Tuned,
    TunedBaseline,
    as_json,
    describe,
    load_tuned,
)

N_BEST_DRAWS = 20
"""Best draws in an entry of the file; they show how flat the optimum is."""


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
        "searches": [describe(search_) for search_ in searches],
        "ranges": {
            kind: {name: dataclasses.astuple(range_) for name, range_ in ranges.items()}
            for kind, ranges in RANGES.items()
            if kind in HYPERPARAMETERS
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
    engine: Engine | None = None,
    known: Mapping[str, Any] = {},
) -> Tuned:
    """Run searches, and write their results to `output`.

    After an interruption, a call with the same arguments resumes from the last block.

    Args:
        implementation: computes the runs.
        searches: task, baseline and settings of each search.
        output: the file to write; it must not exist yet.
        report: called with the number of all draws done and a line of text.
        engine: what runs the searches side by side; this process, one after the other, if None.
        known: the implementation by its source, `package.module:Object`, where other processes find
            it.

    Raises:
        LoptbenchError: the file exists or cannot be written, another process is searching for it,
            the partial one belongs to another configuration, or every draw of a search diverged.
    """
    with searching(implementation, searches, output, report, known) as chains:
        (engine or ThisProcess()).run(chains)
    return load_tuned(output)


@contextlib.contextmanager
def searching(
    implementation: Any,
    searches: Sequence[Search],
    output: Path,
    report: Callable[[int, str], None] = lambda *_: None,
    known: Mapping[str, Any] = {},
) -> Iterator[list[Chain[None]]]:
    """`tune` beside other work: an engine runs the searches within the block.

    At the end of the block their results are written to `output`.

    Args:
        implementation: as for `tune`.
        searches: as there.
        output: as there.
        report: as there.
        known: as there.

    Yields: a chain for each search.

    Raises:
        LoptbenchError: as for `tune`.
    """
    partial = output.with_name(f"{output.name}.partial")
    with lock(partial, "a search"):
        if output.exists():
            raise LoptbenchError(f"{output} exists and is not overwritten; name another file")
        tuning = _Tuning(implementation, known, searches, partial, report)
        yield [tuning.one(search_) for search_ in searches]
        value = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "provenance": _provenance(implementation),
            "entries": [tuning.finished[_name(search_)] for search_ in searches],
        }
        write_atomically(output, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
        partial.unlink()


def _name(search_: Search) -> str:
    task, kind, _ = search_
    return f"{task.name}/{kind}"


class _Tuning:
    """Searches as an engine's chains, which save the draws after each block."""

    def __init__(
        self,
        implementation: Any,
        known: Mapping[str, Any],
        searches: Sequence[Search],
        partial: Path,
        report: Callable[[int, str], None],
    ) -> None:
        self.implementation, self.partial, self._report = implementation, partial, report
        self.known = known
        self.identity = json.loads(json.dumps(_identity(implementation, searches)))
        self.finished, self.unfinished = _resume(partial, self.identity)
        self.n_done: dict[str, int] = {}

    def one(self, search_: Search) -> Chain[None]:
        """A search, whose draws are saved and at last its entry."""
        task, kind, settings = search_
        name = _name(search_)
        if name in self.finished:
            self.report(search_, f"{self.finished[name]['score']:.5g}")
            return
        draws = self.unfinished.get(name, Draws.none(len(RANGES[kind])))
        self.report(search_, "begins")
        save = OnlyHere(functools.partial(self.save, search_))
        while len(draws.score) < settings.n_total:
            arguments = (RANGES[kind], self.implementation, *search_, draws, save)
            draws = yield Call(more_draws, arguments, self.known)
            if self.unfinished.get(name) is not draws:
                self.save(search_, draws)
        of_all = (RANGES[kind], self.implementation, *search_, draws)
        draw, score = yield Call(find_winner, of_all, self.known)
        entry = _entry(task, kind, settings, draws, draw, score)
        self.finished[name] = as_json(entry)
        self.unfinished.pop(name, None)
        _save(self.partial, self.identity, self.finished, self.unfinished)
        self.report(search_, f"{score:.5g}")

    def save(self, search_: Search, draws: Draws) -> None:
        """Save the draws of a search after a block."""
        self.unfinished[_name(search_)] = draws
        _save(self.partial, self.identity, self.finished, self.unfinished)
        self.report(search_, f"best {draws.best:.5g}")

    def report(self, search_: Search, words: str) -> None:
        """Report the number of draws of all searches, and a search's words."""
        task, kind, settings = search_
        name = _name(search_)
        unfinished = self.unfinished.get(name)
        done = len(unfinished.score) if unfinished is not None else 0
        self.n_done[name] = settings.n_total if name in self.finished else done
        self._report(sum(self.n_done.values()), f"{kind} on {task.name}: {words}")


def find_winner(
    ranges: Mapping[str, Range],
    implementation: Any,
    task: Task,
    kind: str,
    settings: Settings,
    draws: Draws,
) -> tuple[int, float]:
    """`loptbench.tuning.search.winner` in whatever process, which may not know the ranges."""
    RANGES[kind] = dict(ranges)
    return winner(implementation, task, kind, settings, draws)


def more_draws(
    ranges: Mapping[str, Range],
    implementation: Any,
    task: Task,
    kind: str,
    settings: Settings,
    draws: Draws,
    save: Callable[[Draws], None],
) -> Draws:
    """Go on with a search for some seconds, at least a block, in whatever process.

    Args:
        ranges: the ranges of the hyperparameters.
        implementation: as for `loptbench.tuning.search.search`.
        task: as there.
        kind: as there.
        settings: as there.
        draws: the draws so far.
        save: called with the draws after each block.
    """
    RANGES[kind] = dict(ranges)
    start = time.monotonic()
    for draws in search(implementation, task, kind, settings, draws):  # noqa: B020
        save(draws)
        if time.monotonic() - start > SECONDS_OF_A_CALL:
            break
    return draws


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
        ranges=None if kind in HYPERPARAMETERS else dict(RANGES[kind]),
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
        ENTRIES.validate_python([*finished.values()])
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
