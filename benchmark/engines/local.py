"""Engines of this machine: this process, or several other ones."""

import functools
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from loptbench.engines.child import ChildProcess
from loptbench.engines.engine import Call, Engine, Place, Prepared
from loptbench.engines.packing import Caller, pack, unpack

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Environment variables that say in how many threads numerical libraries compute."""


class ThisProcess(Engine):
    """Makes all calls in the calling process, one after the other.

    >>> with ThisProcess() as engine:
    ...     list(engine.map(len, ["a", "bc"]))
    [1, 2]
    """

    def places(self) -> Sequence[Place]:
        """This process."""
        return [_Here()]

    def prepare(self, call: Call) -> Prepared:
        """The call itself."""
        return Prepared(call)


class _Here:
    """The calling process."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Here)

    def __hash__(self) -> int:
        return 0

    def suits(self, call: Prepared) -> bool:
        """It can make any call."""
        return True

    def submit(self, call: Prepared) -> "Future[Any]":
        """Make the call."""
        future: Future[Any] = Future()
        try:
            future.set_result(call.call.function(*call.call.arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def result(self, future: "Future[Any]") -> Any:
        """What the function returned."""
        return future.result()

    def abandon(self) -> None:
        """Nothing runs."""


class LocalProcesses(Engine):
    """Makes calls in other processes of this machine, which end when the calling one does.

    Args:
        jobs: the number of processes.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        self._places = [_process(number, threads) for number in range(jobs)]

    def places(self) -> Sequence[Place]:
        """The processes; one that died is started again."""
        return self._places

    def prepare(self, call: Call) -> Prepared:
        """The call in bytes."""
        return pack(call, Caller.here(sys.path))


class _Process:
    """One process, which is started when it is first needed.

    Args:
        threads: the number of threads in which numerical libraries compute.
    """

    def __init__(self, threads: int) -> None:
        self._child = ChildProcess(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        self._waits = ThreadPoolExecutor(1)

    def suits(self, call: Prepared) -> bool:
        """It can make any call."""
        return True

    def submit(self, call: Prepared) -> "Future[Any]":
        """Begin the call."""
        return self._waits.submit(self._child.call, call.packed)

    def result(self, future: "Future[Any]") -> Any:
        """What the function returned.

        Raises:
            WorkerLostError: the process died.
        """
        return unpack(future.result())

    def abandon(self) -> None:
        """End the process; the next call starts it again."""
        self._child.end()


@functools.cache
def _process(number: int, threads: int) -> _Process:
    """A process that is kept, so that the next engine does not start it again."""
    return _Process(threads)
