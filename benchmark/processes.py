"""Other processes that run trials: what they are handed, and when they end.

A trial holds an implementation somewhere inside. It is handed over by name, and each process makes
its own, as a run in a new process would: nothing that an implementation remembers is copied.
"""

import functools
import io
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import cloudpickle
from joblib import Parallel, delayed, parallel_config

from loptbench.discovery import DiscoveredImplementation, load_object

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

SECONDS_BETWEEN_LOOKS = 0.5
"""How often a process looks whether its parent is still there."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    def __init__(self, file: io.BytesIO, entries: Iterable[DiscoveredImplementation]) -> None:
        super().__init__(file)
        self.sources = {id(e.implementation): e.source for e in entries if e.implementation}

    def persistent_id(self, value: Any) -> str | None:
        """The source of an implementation; None for anything else, which is pickled."""
        return self.sources.get(id(value))


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, source: str) -> Any:
        """The implementation of this process that a source names."""
        return _constructed(source)


@functools.cache
def _constructed(source: str) -> Any:
    return load_object(source)


class Packed:
    """Trials that become bytes when they are sent to another process, with implementations by name.

    They are packed one after the other, as they are sent: all together may not fit into memory.

    >>> unpack(Packed([1, 2], []), [])
    [1, 2]
    """

    def __init__(self, value: Any, entries: Sequence[DiscoveredImplementation]) -> None:
        self.value, self.entries = value, entries

    def __bytes__(self) -> bytes:
        file = io.BytesIO()
        _Pickler(file, self.entries).dump(self.value)
        return file.getvalue()

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        """Arrive as bytes."""
        return bytes, (bytes(self),)


def unpack(packed: bytes | Packed, search_path: Iterable[str]) -> Any:
    """What was packed, in another process.

    Args:
        packed: what arrived.
        search_path: where the calling process finds modules.

    Raises:
        LoptbenchError: an implementation cannot be imported or made in this process.
    """
    sys.path += [folder for folder in search_path if folder not in sys.path]
    return _Unpickler(io.BytesIO(bytes(packed))).load()


@functools.cache
def end_with(parent: int) -> None:
    """End this process soon after its parent does, also if that is killed and says nothing.

    A process whose parent ends is given another one, so the parent's number changes.

    Args:
        parent: the number of the parent process; if it is that of this process, nothing is watched.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    if os.getpid() != parent:
        threading.Thread(target=watch, name="watch the parent", daemon=True).start()


def map_in_processes(
    function: Callable[[Item], Outcome], items: Iterable[Item], jobs: int
) -> Iterator[Outcome]:
    """`map` in several processes, which end when this one does.

    >>> list(map_in_processes(len, ["a", "bc"], jobs=1))
    [1, 2]

    Args:
        function: a function that other processes can import.
        items: its arguments, as they are pickled.
        jobs: the number of processes; 1 means this process.

    Returns: the results, in the order of the items, each as soon as those before it are there.
    """
    if jobs == 1:
        yield from map(function, items)
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=threads):
        calls = (delayed(_apply)(function, item, os.getpid(), tuple(sys.path)) for item in items)
        yield from Parallel(return_as="generator", pre_dispatch=2 * jobs)(calls)


def _apply(
    function: Callable[[Item], Outcome], item: Item, caller: int, search_path: Iterable[str]
) -> Outcome:
    end_with(caller)
    sys.path += [folder for folder in search_path if folder not in sys.path]
    return function(item)
