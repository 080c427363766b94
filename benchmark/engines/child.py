"""A process of its own for calls, which come and go through pipes.

Calls are made in a process that does nothing else: a worker of dask has threads that draw random
numbers and wait for the network, and settings of a framework hold for a whole process.
"""

import contextlib
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

SECONDS_BETWEEN_LOOKS = 0.5
"""How often a process looks whether its parent is still there."""


class WorkerLostError(Exception):
    """The worker of a call is gone; the call may be made again."""


class ChildProcess:
    """A process that makes one call at a time. It is started when it is first needed.

    Args:
        variables: environment variables of the process.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def call(self, packed: bytes) -> bytes:
        """Unpickle bytes in the process, which makes a call; what that gives is bytes again.

        Raises:
            WorkerLostError: the process ended before that.
        """
        with self._one_at_a_time:
            process = self._process
            if process is None or process.poll() is not None:
                process = self._process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump(packed, process.stdin)
                process.stdin.flush()
                outcome: bytes = pickle.load(process.stdout)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self.end()
                raise WorkerLostError(f"process {process.pid} is gone") from error
        return outcome

    def end(self) -> None:
        """End the process; the next call starts it again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        # Modules are found where this process finds them, such as beside a test.
        code = f"import sys; sys.path[:] = {sys.path!r}; import {__name__} as child; "
        code += f"child.serve({os.getpid()})"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **self._variables},
        )


def serve(parent: int) -> None:
    """Make the calls that come through standard input, until it is closed."""
    # Ctrl-C goes to all processes. The caller stops the others, which print no traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    calls, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a framework prints is no outcome
    while True:
        try:
            packed = pickle.load(calls)
        except EOFError:
            return
        pickle.dump(pickle.loads(packed), outcomes)
        outcomes.flush()


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


@functools.cache
def _own_child() -> ChildProcess:
    return ChildProcess()


def call_in_child(packed: bytes) -> bytes:
    """Make a call in a process of its own, which is kept for the next one; for workers of dask."""
    return _own_child().call(packed)
