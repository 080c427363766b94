"""Writing files so that an interruption never leaves half of one."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from loptbench.errors import LoptbenchError


@contextlib.contextmanager
def only_process(path: Path, doing: str) -> Iterator[None]:
    """Hold the file `path` + `.lock` while working on `path`; the system lets go if one is killed.

    The empty lock file stays: if it were removed, two could hold one of that name each.

    Args:
        path: what is worked on.
        doing: what does it, such as "a meta-training", for the message.

    Raises:
        LoptbenchError: another process holds it, or the folder cannot be written.
    """
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
    try:
        if not path.parent.is_dir():  # which FileLock would make
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        lock.acquire()
    except Timeout as error:
        raise LoptbenchError(
            f"{path} is in use by {doing} in another process; wait for it, or name another output"
        ) from error
    except OSError as error:
        raise LoptbenchError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path`, then rename: readers see all of it or nothing.

    Raises:
        LoptbenchError: the folder does not exist or cannot be written.
    """
    if path.exists() and not path.is_file():
        raise LoptbenchError(f"cannot write {path}: it is there and not a file; name another")
    path = path.resolve()  # of a link, what it leads to is written
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise LoptbenchError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise LoptbenchError(
            f"cannot write {path}: {error.strerror}; what was there before is untouched: when "
            "there is room again, the same command goes on from it"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
