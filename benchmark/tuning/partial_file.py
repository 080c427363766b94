"""The file of an unfinished search: what is found so far, and of which configuration."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.reading import parse_json, read_file, require_table
from loptbench.storage.files import write_atomically
from loptbench.tuning.search import Draws


def save(
    partial: Path,
    identity: Mapping[str, Any],
    finished: Mapping[str, Any],
    unfinished: Mapping[str, Draws],
) -> None:
    """Write what is found so far.

    Args:
        partial: the file.
        identity: the configuration, as JSON values.
        finished: the entries of finished searches, by name.
        unfinished: the draws of the others, by name.
    """
    value = {
        "identity": identity,
        "finished": finished,
        "found": {
            name: {field: array.tolist() for field, array in dataclasses.asdict(draws).items()}
            for name, draws in unfinished.items()
        },
    }
    write_atomically(partial, json.dumps(value).encode())


def resume(
    partial: Path, identity: Mapping[str, Any], validate: Callable[[list[Any]], object]
) -> tuple[dict[str, Any], dict[str, Draws]]:
    """What is found so far: the entries of finished searches, the draws of the unfinished one.

    Args:
        partial: the file; it need not exist.
        identity: the configuration, as JSON values.
        validate: raises a ValueError if entries are damaged.

    Raises:
        LoptbenchError: the file is damaged, or of another configuration.
    """
    if not partial.exists():
        return {}, {}
    try:
        value = require_table(parse_json(read_file(partial)), "it")
        before = require_table(value["identity"], "identity")
        finished = require_table(value["finished"], "finished")
        validate([*finished.values()])
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
