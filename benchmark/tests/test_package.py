"""The package itself: what is in it, and what it may import."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import loptbench
import loptbench.implementations
import loptbench.reports
import loptbench.tasks
from loptbench.results.provenance import code_hash

PACKAGES = {
    "loptbench": loptbench,
    "loptbench.implementations": loptbench.implementations,
    "loptbench.tasks": loptbench.tasks,
    "loptbench.reports": loptbench.reports,
}


def sources() -> list[tuple[str, Path]]:
    """Every Python file, with the dotted name of its package."""
    found: dict[Path, str] = {}
    for name, package in PACKAGES.items():
        root = Path(package.__path__[0])
        for file in root.rglob("*.py"):
            parts = file.relative_to(root).parent.parts
            found[file] = ".".join([name, *parts])
    return [(name, file) for file, name in found.items()]


def test_pyproject_lists_every_subpackage(pytestconfig: pytest.Config) -> None:
    pyproject = pytestconfig.inipath
    if pyproject is None or not (pyproject.parent / "benchmark" / "protocol.py").exists():
        pytest.skip("not run from the source tree: there is no pyproject.toml to compare with")
    setup = tomllib.loads(pyproject.read_text())["tool"]["setuptools"]
    found = set()
    for name, folder in setup["package-dir"].items():
        root = pyproject.parent / folder
        for file in root.rglob("__init__.py"):
            found.add(".".join([name, *file.relative_to(root).parent.parts]))
    assert sorted(setup["packages"]) == sorted(found)


def test_every_subpackage_is_installed() -> None:
    names = {name for name, _ in sources()}
    assert {"loptbench.tests", "loptbench.conformance", "loptbench.mechanisms"} <= names
    assert {f"loptbench.implementations.{n}" for n in ("reference", "torch", "jax")} <= names


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_frameworks_are_imported_by_their_implementation_only() -> None:
    frameworks = {"torch": "torch", "jax": "jax", "optax": "jax", "jaxlib": "jax"}
    for name, file in sources():
        if name.startswith("loptbench.tests"):
            continue
        for module in imported(file):
            owner = frameworks.get(module.split(".")[0])
            if owner is not None:
                home = f"loptbench.implementations.{owner}"
                assert name == home or name.startswith(f"{home}."), f"{file} imports {module}"


def test_implementations_do_not_import_each_other() -> None:
    for name, file in sources():
        for module in imported(file):
            if name.startswith("loptbench.implementations.") and module.startswith(
                "loptbench.implementations."
            ):
                home = ".".join(name.split(".")[:3])
                assert module.startswith(home), f"{file} imports {module}"


def test_the_harness_does_not_import_the_reports() -> None:
    allowed = ("loptbench.cli", "loptbench.reports", "loptbench.tests")
    # The first looks for their folder; the second is to pytest what a command is to the shell.
    files = {"provenance.py", "session.py"}
    for name, file in sources():
        if not name.startswith(allowed) and file.name not in files:
            assert not any(m.startswith("loptbench.reports") for m in imported(file)), file


def test_modules_stay_readable() -> None:
    for _, file in sources():
        assert len(file.read_text().splitlines()) <= 400, file


def test_the_code_hash_is_that_of_the_sources() -> None:
    assert len(code_hash()) == 64
    assert code_hash() == code_hash()


def test_a_command_imports_no_other() -> None:
    """All of them together take more than a second, and frameworks more still."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "loptbench", "report", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "loptbench.results.store" in imported
    assert not imported & {"loptbench.study.plan", "scipy.stats", "sklearn", "torch", "jax"}
