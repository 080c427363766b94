"""The sources of an implementation: what has to be measured anew once it is repaired.

An implementation is the module that defines it, the package that holds this module, and whatever
they import that is not installed: a helper beside it, a package under development. Installed
packages are left out, since a trial's key has their versions; so are the sources of loptbench,
whose hash it has as well.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loptbench.results.provenance import sources as counted_sources

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("py", "pyx", "c", "cc", "cpp", "cu", "cuh", "h", "hpp", "rs", "f90", "jl"),
        *("so", "pyd", "dylib", "dll"),
    )
)
"""Endings of the files of a package that compute: sources, and what was compiled of them."""

INSTALLED = frozenset(
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
"""The folders of the standard library and of installed packages."""

FOLDER_NAMES = frozenset(["site-packages", "dist-packages"])
"""Names of folders of installed packages, also those of other environments."""


def sources_hash(implementation: Any, source: str) -> str | None:
    """SHA-256 over the sources of an implementation.

    It depends on the names of its modules and on their contents, not on where they lie.

    >>> from types import SimpleNamespace
    >>> sources_hash(SimpleNamespace(), "loptbench.study.plan:Implementation") is None
    True

    Args:
        implementation: the implementation: an object, or a class.
        source: where it was loaded from, `package.module:Object`.

    Returns: the hash; None if all of it is part of loptbench, or has no source.
    """
    kind = implementation if isinstance(implementation, type) else type(implementation)
    return _hash(_files(source.partition(":")[0], [base.__module__ for base in kind.__mro__]))


def module_hash(module: str) -> str | None:
    """SHA-256 over the sources of a module and what it imports, as of an implementation's.

    >>> module_hash("numpy.linalg") is None
    True

    Args:
        module: its name.

    Returns: the hash; None if it is installed, and its version says what it is.
    """
    if _is_installed(_origin(_outermost(module)) or Path()):
        return None
    return _hash(_files(module, []))


def _hash(files: dict[str, Path]) -> str | None:
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest() if files else None


def _files(own: str, others: list[str]) -> dict[str, Path]:
    """The files of a module and of its package, and of other modules that are not installed.

    Args:
        own: the module of the implementation, which counts wherever it lies.
        others: modules of its base classes.

    Returns: the files by name, those of what they import included.
    """
    counted = _counted()
    files: dict[str, Path] = {}
    waiting, seen = [own, *others], set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or _outermost(module) in sys.stdlib_module_names:
            continue
        seen.add(module)
        is_own = _outermost(module) == _outermost(own)
        if not is_own and _is_installed(_origin(_outermost(module)) or Path()):
            continue  # nothing is imported from it just to look at it
        origin = _origin(module)
        if origin is None or origin in counted:
            continue
        for name, file in _with_package(module, origin):
            if file not in counted and name not in files:
                files[name] = file
                if file.suffix == ".py":
                    of_file = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                    waiting += _imports(file.read_bytes(), of_file, file.name == "__init__.py")
    return files


@functools.cache
def _counted() -> frozenset[Path]:
    return frozenset(file.resolve() for file in counted_sources().values())


def _outermost(module: str) -> str:
    return module.partition(".")[0]


def _origin(module: str) -> Path | None:
    """The file of a module; None if it has none, or cannot be found."""
    try:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            spec = importlib.util.find_spec(module)
            file = spec.origin if spec is not None and spec.has_location else None
    except Exception:  # finding a submodule imports its package, which may fail in any way
        return None
    path = Path(file).resolve() if file else None
    return path if path is not None and path.is_file() else None


def _is_installed(file: Path) -> bool:
    return not INSTALLED.isdisjoint(file.parents) or not FOLDER_NAMES.isdisjoint(file.parts)


def _with_package(module: str, origin: Path) -> Iterator[tuple[str, Path]]:
    """A module's file and those of its outermost package that has an `__init__.py`, by name.

    Of loptbench, which counts its own sources, only the module itself.
    """
    parents = module.split(".")
    name = module.replace(".", "/") + ("/__init__" if origin.name == "__init__.py" else "")
    yield f"{name}{origin.suffix}", origin
    if parents[0] == "loptbench":
        return
    for i in range(len(parents)):
        package = ".".join(parents[: i + 1])
        init = _origin(package)
        if init is not None and init.name == "__init__.py":
            for file in sorted(init.parent.rglob("*")):
                inner = file.relative_to(init.parent)
                hidden = any(part.startswith(".") for part in inner.parts)
                if file.suffix in SUFFIXES and file.is_file() and not hidden:
                    yield f"{package.replace('.', '/')}/{inner.as_posix()}", file.resolve()
            return


@functools.lru_cache(maxsize=4096)
def _imports(content: bytes, module: str, is_package: bool) -> frozenset[str]:
    """The modules that a source may import, and their parents, by their full names."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                drop = node.level - is_package
                parts = module.split(".")
                base = ".".join([*parts[: len(parts) - drop], *([base] if base else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in names if name)
