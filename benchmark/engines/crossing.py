"""Arguments of calls that are something else in another process than in the calling one."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS_OF_A_CALL = 10.0
"""Long work is done in calls of about this length. A worker that dies costs one of them."""


class OnlyHere:
    """A function that is called in the calling process; in another one, nothing happens.

    >>> import pickle
    >>> say = OnlyHere(print)
    >>> say("here")
    here
    >>> pickle.loads(pickle.dumps(say))("there")
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> None:
        """Call it."""
        self.function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return OnlyHere, (_nothing,)


def _nothing(*_: Any) -> None:
    """In place of a function of the calling process."""


class ProgressFile:
    """A file that progress is saved in; in another process, a copy of it.

    Attributes:
        path: the file, which may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        content = self.path.read_bytes() if self.path.exists() else None
        return _copy, (self.path.name, content)

    @property
    def content(self) -> bytes | None:
        """What a copy holds, for the calling process to save; None of the file itself."""
        return self.path.read_bytes() if self._folder is not None else None


def _copy(name: str, content: bytes | None) -> ProgressFile:
    folder = tempfile.TemporaryDirectory(prefix="loptbench-")
    copied = ProgressFile(Path(folder.name) / name)
    copied._folder = folder
    if content is not None:
        copied.path.write_bytes(content)
    return copied
