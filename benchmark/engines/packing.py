"""What crosses the border between processes: calls on the way there, outcomes on the way back.

An implementation is handed over by name, and each process makes its own, as a run in a new process
would: nothing that an implementation remembers is copied.
"""

import functools
import io
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cloudpickle

from loptbench.discovery import load_object, requirement_of
from loptbench.engines.engine import Call, Prepared
from loptbench.errors import LoptbenchError
from loptbench.optimizers.kinds import VARIABLE
from loptbench.tasks import TASKS, Task


class Caller(NamedTuple):
    """What a worker has to know of the process that calls it.

    Attributes:
        search_path: where it finds modules.
        tasks: its tasks; `digits` may be on the user's MNIST.
        architectures: its environment variable that names architectures.
    """

    search_path: Sequence[str]
    tasks: Mapping[str, Task]
    architectures: str

    @classmethod
    def here(cls, search_path: Sequence[str]) -> "Caller":
        """This process."""
        return cls(search_path, TASKS, os.environ.get(VARIABLE, ""))

    def known(self) -> None:
        """Let this process, a worker, know what the caller knows."""
        sys.path += [folder for folder in self.search_path if folder not in sys.path]
        if self.architectures:
            os.environ[VARIABLE] = self.architectures
        TASKS.update(self.tasks)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def __init__(self, file: io.BytesIO, implementations: Mapping[str, Any]) -> None:
        super().__init__(file)
        self.sources = {id(value): source for source, value in implementations.items()}
        self.met: set[str] = set()

    def persistent_id(self, value: Any) -> str | None:
        """The source of an implementation; None for anything else, which is pickled."""
        source = self.sources.get(id(value))
        if source is not None:
            self.met.add(source)
        return source


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, source: str) -> Any:
        """The implementation of this process that a source names."""
        return implementation_of(source)


@functools.cache
def implementation_of(source: str) -> Any:
    """This process's own implementation of that source, `package.module:Object`."""
    return load_object(source, requirement_of(source))


def pack(call: Call, caller: Caller) -> Prepared:
    """A call as bytes. `pickle.loads` of them, in a worker, makes the call.

    >>> call = pack(Call(len, ("four",)), Caller.here([]))
    >>> unpack(pickle.loads(call.packed))
    4

    Raises:
        LoptbenchError: the function or an argument cannot be pickled.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, call.implementations)
    try:
        pickler.dump((call.function, call.arguments))
    except Exception as error:  # what is pickled raises whatever it likes
        raise LoptbenchError(
            "an implementation cannot be handed to another process "
            f"({type(error).__name__}: {error}); call again with --jobs 1"
        ) from error
    packed = cloudpickle.dumps(Deferred(_perform, caller, file.getvalue()))
    return Prepared(call, packed, frozenset(pickler.met))


class Deferred:
    """A call of a function that unpickling makes, in place of the object.

    >>> pickle.loads(pickle.dumps(Deferred(len, "four")))
    4
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def _perform(caller: Caller, packed: bytes) -> bytes:
    """Make a call in this process, a worker, and pack its outcome: what it returned or raised."""
    outcome: tuple[Any, Exception | None]
    try:
        caller.known()
        function, arguments = _Unpickler(io.BytesIO(packed)).load()
        outcome = function(*arguments), None
    except Exception as error:
        outcome = None, _with_trace(error)
    return bytes(cloudpickle.dumps(outcome))


def _with_trace(error: Exception) -> Exception:
    """The exception as it can be pickled, with the worker's traceback if it is a programmer's."""
    if not isinstance(error, LoptbenchError):
        error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(cloudpickle.dumps(error))
    except Exception:
        return RuntimeError("\n".join([f"{type(error).__name__}: {error}", *error.__notes__]))
    return error.with_traceback(None)


def unpack(outcome: bytes) -> Any:
    """What a call returned; its exception is raised."""
    value, error = pickle.loads(outcome)
    if error is not None:
        raise error
    return value


def own_folders(search_path: Iterable[str]) -> list[str]:
    """The folders in which a user's own modules are: those that are not of the Python installation.

    >>> own_folders([sys.prefix + "/lib/python3/site-packages", "/home/me/study"])
    ['/home/me/study']
    """
    installed = tuple(os.path.realpath(prefix) + os.sep for prefix in (sys.prefix, sys.base_prefix))
    folders = (os.path.realpath(folder) for folder in search_path)
    return [folder for folder in folders if not folder.startswith(installed)]
