"""What the tuner found: a file that explains itself, and the search that goes on from half of one.

The file is JSON: provenance, and one entry for each task and baseline. While a search runs, all
that it has found lies beside the file, in one with the ending `.partial`, so that a search that was
killed goes on from its last block and ends with the same bytes.
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES, EPSILON, OptimizerSpec, baseline
from loptbench.results.provenance import machine, versions_of
from loptbench.storage.files import only_process, write_atomically
from loptbench.tasks import Task, definition
from loptbench.tuning.search import (
    RANGES,
    Found,
    Settings,
    default_settings,
    hyperparameters,
    search,
    winner,
)

FORMAT = "loptbench-tuned"
FORMAT_VERSION = 1
SHIPPED: dict[str, tuple[str, ...]] = {
    "jax": ("quadratic", "rosenbrock", "two_moons", "digits"),
    "torch": ("quadratic", "rosenbrock"),
}
"""The searches that are shipped, by implementation, and their tasks. What is used is that of JAX;
that of PyTorch is there to be compared with it."""

EDGE = 0.02
"""Nearer to an end of its range than this share of it, a hyperparameter lies on the edge."""

N_SHOWN = 20
"""How many of the best draws an entry keeps: they show how flat the optimum is."""


Search = tuple[Task, str, Settings]
"""Task, baseline and settings of one search."""


@dataclasses.dataclass(frozen=True)
class TunedBaseline:
    """A tuned baseline on a task.

    Attributes:
        kind: the baseline.
        task: the definition of the task: name, settings, data.
        settings: how it was tuned.
        hyperparameters: the winner's.
        score: its meta-objective, mean over the problems it was tuned on, in float64.
        draw: its number; from `settings.n_draws` on, draws are from the boxes around the best.
        places: where its hyperparameters lie in their ranges, 0 to 1.
        n_complete: how many draws ran to their end.
        n_diverged: how many diverged; all others were dropped early.
        best: the best draws, hyperparameters and score, best first.
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
        """The tuned optimizer, held to its ranges."""
        return baseline(self.kind, EPSILON, **self.hyperparameters)

    @property
    def n_draws(self) -> int:
        """All draws, those of the boxes included."""
        return Settings(**self.settings).n_total

    @property
    def on_edge(self) -> list[str]:
        """The hyperparameters that lie on the edge of their range: it was too narrow."""
        return [name for name, place in self.places.items() if not EDGE <= place <= 1 - EDGE]


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A file of tuned baselines.

    Attributes:
        entries: the tuned baselines.
        provenance: implementation, versions, machine.
        source: where it was read from.
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
        if not named:
            raise LoptbenchError(
                f"{self.source} has no baselines tuned on {task.name!r}; make them with "
                f"'loptbench tune --task {task.name}' and give the file with --tuned"
            )
        wanted = definition(task)
        for entry in named:
            if dict(entry.task) != wanted:
                differing = [k for k in wanted if entry.task.get(k) != wanted[k]]
                raise LoptbenchError(
                    f"the baselines in {self.source} were tuned on another {task.name!r} "
                    f"(another {', '.join(differing)}); make them anew with 'loptbench tune --task "
                    f"{task.name}' and give the file with --tuned"
                )
        order = list(BASELINES)
        return sorted(named, key=lambda entry: order.index(entry.kind))

    def is_of(self, implementation: Any, searches: Iterable[Search]) -> bool:
        """Whether it holds what these searches in that implementation find, and no more."""
        there = [
            {"kind": entry.kind, "task": entry.task, "settings": entry.settings}
            for entry in self.entries
        ]
        wanted: list[Any] = json.loads(json.dumps([_as_plain(one) for one in searches]))
        return (self.provenance["implementation"], there) == (implementation.name, wanted)


def load_tuned(path: Path | None = None) -> Tuned:
    """Read a file of tuned baselines; the shipped one if no path is given.

    Raises:
        LoptbenchError: the file is missing, not one of tuned baselines, of a newer format, or holds
            hyperparameters out of their range.
    """
    source = shipped_path("jax") if path is None else path
    try:
        value = json.loads(source.read_text())
    except OSError as error:
        raise LoptbenchError(
            f"{source} cannot be read ({error.strerror}); make it with 'loptbench tune'"
        ) from error
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
        entries = [TunedBaseline(**entry) for entry in value["entries"]]
        provenance = value["provenance"]
        for entry in entries:
            entry.spec  # noqa: B018  # raises where a hyperparameter is out of range
    except (KeyError, TypeError) as error:
        raise LoptbenchError(f"{source} is damaged ({error}); make it anew") from error
    except LoptbenchError as error:
        raise LoptbenchError(f"{source}: {error}") from error
    return Tuned(entries, provenance, "the shipped file" if path is None else str(path))


def shipped_path(implementation: str) -> Path:
    """Where the shipped search of that implementation lies."""
    return Path(
        str(resources.files("loptbench.tuning") / "hyperparameters" / f"{implementation}.json")
    )


def _as_plain(one: Search) -> dict[str, Any]:
    """What a search looks for, and how, as JSON writes it."""
    task, kind, settings = one
    return {"kind": kind, "task": definition(task), "settings": dataclasses.asdict(settings)}


def _provenance(implementation: Any) -> dict[str, Any]:
    return {
        "implementation": implementation.name,
        "versions": versions_of(implementation),
        **{name: machine()[name] for name in ("loptbench", "python", "platform", "processor")},
    }


def _identity(implementation: Any, searches: Iterable[Search]) -> dict[str, Any]:
    """What decides the bytes of the file, as far as the caller chooses it."""
    return {
        "implementation": implementation.name,
        "versions": versions_of(implementation),
        "searches": [_as_plain(one) for one in searches],
        "ranges": {
            kind: {name: dataclasses.astuple(one) for name, one in named.items()}
            for kind, named in RANGES.items()
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
        implementation: what is to compute them.
        tasks: the tasks.
        kinds: the baselines.
        changes: settings to replace.

    Raises:
        LoptbenchError: the implementation does not compute one of them.
    """
    found = []
    for task in tasks:
        for kind in kinds:
            settings = dataclasses.replace(default_settings(task.name), **changes)
            for what, name, declared in (
                ("task", task.name, implementation.tasks),
                ("baseline", kind, implementation.optimizers),
                ("dtype", settings.dtype, implementation.dtypes),
                ("dtype", "float64", implementation.dtypes),
            ):
                if name not in declared:
                    raise LoptbenchError(
                        f"{implementation.name} does not compute the {what} {name!r}"
                    )
            found.append((task, kind, settings))
    return found


def tune(
    implementation: Any,
    searches: Sequence[Search],
    output: Path,
    report: Callable[[int, str], None] = lambda *_: None,
) -> Tuned:
    """Search each baseline on each task, and write what was found to `output`.

    Called again after an interruption with the same arguments, it goes on from the last block.

    Args:
        implementation: what computes it.
        searches: task, baseline and settings of each search.
        output: the file to write; it must not exist yet.
        report: told how many draws are done in all, and a few words.

    Raises:
        LoptbenchError: the file exists or cannot be written, another process is searching for it,
            the partial one belongs to another configuration, or every draw of a search diverged.
    """
    partial = output.with_name(f"{output.name}.partial")
    with only_process(partial, "a search"):
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
    finished, founds = _resume(partial, identity)
    done = 0
    for task, kind, settings in searches:
        name = f"{task.name}/{kind}"
        if name not in finished:
            found = founds.get(name, Found.nothing(len(BASELINES[kind])))
            report(done + len(found.score), f"{kind} on {task.name}")
            for found in search(implementation, task, kind, settings, found):  # noqa: B020
                _save(partial, identity, finished, {name: found})
                report(done + len(found.score), f"{kind} on {task.name}: best {found.best:.5g}")
            draw, score = winner(implementation, task, kind, settings, found)
            entry = _entry(task, kind, settings, found, draw, score)
            finished[name] = dataclasses.asdict(entry)
            _save(partial, identity, finished, {})
        done += settings.n_total
        report(done, f"{kind} on {task.name}: {finished[name]['score']:.5g}")
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
    task: Task, kind: str, settings: Settings, found: Found, draw: int, score: float
) -> TunedBaseline:
    order = np.argsort(found.score, kind="stable")
    order = order[np.isfinite(found.score[order])][:N_SHOWN]
    values = hyperparameters(kind, found.places)
    rows = [
        {name: float(column[i]) for name, column in values.items()}
        | {"score": float(found.score[i])}
        for i in order
    ]
    return TunedBaseline(
        kind=kind,
        task=definition(task),
        settings=dataclasses.asdict(settings),
        hyperparameters={name: float(column[draw]) for name, column in values.items()},
        score=score,
        draw=draw,
        places=dict(zip(values, found.places[draw].tolist(), strict=True)),
        n_complete=int(np.sum(np.isfinite(found.score))),
        n_diverged=int(np.sum(found.diverged)),
        best=rows,
    )


def _save(
    partial: Path,
    identity: Mapping[str, Any],
    finished: Mapping[str, Any],
    founds: Mapping[str, Found],
) -> None:
    value = {
        "identity": identity,
        "finished": finished,
        "found": {
            name: {field: array.tolist() for field, array in dataclasses.asdict(found).items()}
            for name, found in founds.items()
        },
    }
    write_atomically(partial, json.dumps(value).encode())


def _resume(partial: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Found]]:
    if not partial.exists():
        return {}, {}
    try:
        value = json.loads(partial.read_text())
        before, finished = value["identity"], value["finished"]
        founds = {
            name: Found(
                np.array(one["places"]).reshape(len(one["score"]), -1),
                np.array(one["score"], float),
                np.array(one["bound"], float),
                np.array(one["diverged"], bool),
            )
            for name, one in value["found"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
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
    return finished, founds
