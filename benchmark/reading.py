"""Reading files that somebody else may have made or damaged, within limits.

Whatever is in a file, reading it ends soon, in little memory, and with an error that names it.
Every reader of loptbench goes through here before it validates what the file says.
"""

import gzip
import io
import json
import re
import tomllib
import zlib
from pathlib import Path
from typing import Any

from loptbench.errors import LoptbenchError

LARGEST_FILE = 2**28
"""Bytes of a file, and of what a compressed file holds. MNIST's images are 47 MB, and the largest
records of the benchmark 20 MB."""

DEEPEST_NESTING = 64
"""Lists and tables inside each other; loptbench writes at most 12."""

LARGEST_INTEGER = 2**63 - 1
"""The largest whole number, which tables and arrays can hold."""

LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def require_path(path: Path, error: type[LoptbenchError] = LoptbenchError) -> Path:
    """Refuse a path that no system has.

    >>> require_path(Path("results")).name
    'results'

    Args:
        path: the path.
        error: the type of the error.

    Raises:
        LoptbenchError: there is a null character in it.
    """
    if "\0" in str(path):
        raise error(f"{str(path)!r} is no path: it has a null character; choose another name")
    return path


def read_file(path: Path, error: type[LoptbenchError] = LoptbenchError) -> bytes:
    """The content of a regular file, decompressed if it is gzipped.

    Args:
        path: the file.
        error: the type of the error.

    Raises:
        LoptbenchError: the file does not exist, is none, cannot be read, or is too large.
    """
    require_path(path, error)
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise error(f"{path} cannot be read: it is not a file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if content[:2] == b"\x1f\x8b" and len(content) <= LARGEST_FILE:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as compressed:
                content = compressed.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{path} cannot be read ({reason})") from problem
    if len(content) > LARGEST_FILE:
        raise error(f"{path} is too large: it holds more than {LARGEST_FILE} bytes")
    if other := disguise(content):
        raise error(f"{path} cannot be used: {other}")
    return content


def disguise(content: bytes) -> str:
    """What stands in place of a file that was not downloaded; empty if its bytes do not say.

    >>> disguise(b"<!DOCTYPE html><html>...").partition(":")[0]
    'it is an HTML page, not the file itself'

    Args:
        content: the file, or its beginning.
    """
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        return "it is a git-LFS pointer, not the file itself: call `git lfs pull`, or download it"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "it is an HTML page, not the file itself: download the raw file"
    return ""


def nesting(content: bytes) -> int:
    """How deep lists and tables are inside each other in a text of JSON or TOML.

    >>> nesting(b'{"a": [1, [2, "[[["]]}')
    3
    """
    depth = deepest = 0
    for token in _TOKENS.finditer(content):
        if token[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in b"]}":
            depth -= 1
    return deepest


def parse_json(content: bytes | str) -> Any:
    """A text of JSON as values.

    >>> parse_json('{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}

    Raises:
        ValueError: it is not JSON, is nested too deeply, or holds a whole number that is too large.
    """
    encoded = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    _require_shallow(encoded)
    return json.loads(encoded.decode(), parse_int=_whole_number)


def parse_toml(content: str) -> dict[str, Any]:
    """A text of TOML as values.

    >>> parse_toml("a = [1, 2]")
    {'a': [1, 2]}

    Raises:
        ValueError: it is not TOML, is nested too deeply, or holds a whole number that is too large.
    """
    _require_shallow(content.encode(errors="surrogatepass"))
    table = tomllib.loads(content)
    _require_small(table)
    return table


def _require_shallow(content: bytes) -> None:
    if (depth := nesting(content)) > DEEPEST_NESTING:
        raise ValueError(f"lists and tables are nested {depth} deep, more than {DEEPEST_NESTING}")


def _require_small(value: Any) -> None:
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            waiting += current.values()
        elif isinstance(current, list):
            waiting += current
        elif isinstance(current, int) and abs(current) > LARGEST_INTEGER:
            raise ValueError(f"a whole number is larger than {LARGEST_INTEGER}")


def _whole_number(digits: str) -> int:
    if len(digits) > len(str(LARGEST_INTEGER)) + 1 or abs(int(digits)) > LARGEST_INTEGER:
        raise ValueError(f"the number {shorten(digits)} is larger than {LARGEST_INTEGER}")
    return int(digits)


def require_table(value: Any, what: str) -> dict[str, Any]:
    """Refuse what is not a table.

    >>> require_table({"a": 1}, "the settings")
    {'a': 1}

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        kind = "null" if value is None else type(value).__name__
        raise ValueError(f"{what} should be a table, but it is {kind}")
    return value


def shorten(value: Any) -> str:
    """A value for a message, which may be as long as somebody likes.

    >>> shorten("a" * 1000)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
    """
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
