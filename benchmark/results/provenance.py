"""Provenance of numbers: code, versions, machine."""

import functools
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

BASE_PACKAGES = ("numpy", "scipy", "safetensors")


def versions_of(implementation: Any) -> dict[str, str]:
    """The versions of the packages that decide an implementation's numbers."""
    return {name: _version(name) for name in sorted({*BASE_PACKAGES, *implementation.versions})}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _folder(package: str) -> Path:
    """The folder of a package of loptbench, without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"there is no package {package}; install loptbench again")
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def sources() -> dict[str, Path]:
    """The sources of loptbench that decide a result: all but its tests and reports, by name."""
    roots = {
        "loptbench": _folder("loptbench"),
        "loptbench/implementations": _folder("loptbench.implementations"),
        "loptbench/tasks": _folder("loptbench.tasks"),
    }
    skipped = {_folder("loptbench") / "tests", _folder("loptbench.reports")}
    files = {}
    for name, root in roots.items():
        for file in root.rglob("*.py"):
            if not skipped & {*file.parents}:
                files[f"{name}/{file.relative_to(root).as_posix()}"] = file
    return files


@functools.cache
def code_hash() -> str:
    """SHA-256 over the sources of loptbench that decide a result."""
    digest = hashlib.sha256()
    for name, file in sorted(sources().items()):
        digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """The versions of loptbench and Python, the platform, and the processor."""
    return {
        "loptbench": _version("loptbench"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
    }


@functools.cache
def machine() -> dict[str, Any]:
    """Python, platform, processor and git commit, which explain a number but do not decide it."""
    return {
        **environment(),
        "code": code_hash(),
        **_git(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    """The processor's model, where the system says it; else its architecture."""
    processors = Path("/proc/cpuinfo")
    if processors.exists():
        for line in processors.read_text().splitlines():
            name, _, model = line.partition(":")
            if name.strip() == "model name":
                return model.strip()
    return platform.processor() or platform.machine()


def _git() -> dict[str, Any]:
    folder = _folder("loptbench")

    def git(*arguments: str) -> str | None:
        try:
            process = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return process.stdout.strip()

    # An installed wheel may lie inside another repository, whose commit says nothing about it.
    this_file = str(Path(__file__).resolve().relative_to(folder.resolve()))
    if git("ls-files", "--error-unmatch", this_file) is None:
        return {"commit": None, "dirty": None}
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
