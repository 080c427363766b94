"""Atomic writes and locks: an interruption never leaves half a file."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from loptbench.errors import LoptbenchError
from loptbench.reading import require_path


@contextlib.contextmanager
def lock(path: Path, holder: str) -> Iterator[None]:
    """Lock `path` for this process; the system releases the lock of a process that is killed.

    The empty file `path` + `.lock` is removed before the lock is released. Another process that had
    opened it before then holds the lock of a file that is gone; filelock notices and tries again.

    Args:
        path: the file to work on.
        holder: what holds the lock, such as "a meta-training", for the message to other processes.

    Raises:
        LoptbenchError: another process holds the lock, or the folder cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, lock(Path(folder) / "tuned.json", "a search"):
    ...     os.listdir(folder)
    ['tuned.json.lock']
    """
    require_path(path)
    file_lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
    try:
        if not path.parent.is_dir():  # FileLock would make it
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        file_lock.acquire()
    except Timeout as error:
        raise LoptbenchError(
            f"{path} is in use by {holder} in another process; wait for it, or name another output"
        ) from error
    except OSError as error:
        raise LoptbenchError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no file that is open
            Path(file_lock.lock_file).unlink()
        file_lock.release()


def require_writable(path: Path) -> None:
    """Refuse a file that `write_atomically` could not write, before the work of hours.

    Raises:
        LoptbenchError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    _refuse_other_than_file(path)
    try:
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise LoptbenchError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from error


def _refuse_other_than_file(path: Path) -> None:
    if require_path(path).exists() and not path.is_file():
        raise LoptbenchError(f"cannot write {path}: it is there and not a file; name another")


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside `path` and rename it: readers see all of it or nothing.

    Raises:
        LoptbenchError: the folder does not exist or cannot be written, or `path` is a folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"content")
    ...     (Path(folder) / "a.txt").read_text()
    'content'
    """
    _refuse_other_than_file(path)
    path = path.resolve()  # the target of a link is written, and the link stays
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
