"""The engine that a user names."""

import contextlib
import os
from collections.abc import Iterator

from loptbench.engines.engine import Engine
from loptbench.errors import LoptbenchError

ENGINES = ("local", "dask")

JOBS = min(2, os.cpu_count() or 1)
"""Default number of processes. Each may hold three GB, and a framework computes large arrays in
several threads."""


def make_engine(name: str = "local", jobs: int = 1, scheduler: str | None = None) -> Engine:
    """An engine by its name.

    >>> with make_engine("local", jobs=1) as engine:
    ...     list(engine.map(len, ["a", "bc"]))
    [1, 2]

    Args:
        name: `local`, or `dask`.
        jobs: the number of processes on this machine; one is the calling process.
        scheduler: the address of a dask scheduler, whose workers compute instead.

    Raises:
        LoptbenchError: the name is unknown, dask is not installed, or no scheduler answers.
    """
    if name not in ENGINES:
        raise LoptbenchError(f"unknown engine {name!r}; known are: {', '.join(ENGINES)}")
    if name == "dask":
        from loptbench.engines.cluster import Cluster

        return Cluster(scheduler, jobs)
    if scheduler is not None:
        raise LoptbenchError("a scheduler goes with the engine dask only")
    from loptbench.engines.local import LocalProcesses, ThisProcess

    return ThisProcess() if jobs == 1 else LocalProcesses(jobs)


@contextlib.contextmanager
def engine_or_processes(engine: Engine | None, jobs: int) -> Iterator[Engine]:
    """An engine that was given, or one of processes of this machine, which ends with the block.

    Args:
        engine: the engine; None for one of processes.
        jobs: the number of processes.
    """
    if engine is not None:
        yield engine
        return
    with make_engine(jobs=jobs) as own:
        yield own
