"""The package: its modules, their imports, and the public names."""

import ast
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import loptbench
import loptbench.implementations
import loptbench.reports
import loptbench.tasks
from loptbench.cli.main import COMMANDS, cli
from loptbench.results.provenance import code_hash

PACKAGES = {
    "loptbench": loptbench,
    "loptbench.implementations": loptbench.implementations,
    "loptbench.tasks": loptbench.tasks,
    "loptbench.reports": loptbench.reports,
}


def sources() -> list[tuple[str, Path]]:
    """Every Python file, with the dotted name of its package."""
    packages: dict[Path, str] = {}
    for name, package in PACKAGES.items():
        root = Path(package.__path__[0])
        for file in root.rglob("*.py"):
            parts = file.relative_to(root).parent.parts
            packages[file] = ".".join([name, *parts])
    return [(name, file) for file, name in packages.items()]


def test_pyproject_lists_every_subpackage(pytestconfig: pytest.Config) -> None:
    pyproject = pytestconfig.inipath
    if pyproject is None or not (pyproject.parent / "benchmark" / "protocol").exists():
        pytest.skip("not run from the source tree: there is no pyproject.toml to compare with")
    setup = tomllib.loads(pyproject.read_text())["tool"]["setuptools"]
    subpackages = set()
    for name, folder in setup["package-dir"].items():
        root = pyproject.parent / folder
        for file in root.rglob("__init__.py"):
            subpackages.add(".".join([name, *file.relative_to(root).parent.parts]))
    assert sorted(setup["packages"]) == sorted(subpackages)


def test_the_lowest_versions_are_the_lower_bounds(pytestconfig: pytest.Config) -> None:
    pyproject = pytestconfig.inipath
    if pyproject is None or not (pyproject.parent / "constraints-lowest.txt").exists():
        pytest.skip("not run from the source tree: there is no file of lowest versions")
    project = tomllib.loads(pyproject.read_text())["project"]
    needed = project["dependencies"] + [
        needed
        for extra in ("jax", "renn", "report", "export", "test")
        for needed in project["optional-dependencies"][extra]
    ]
    lines = (pyproject.parent / "constraints-lowest.txt").read_text().splitlines()
    lowest = [line for line in lines if not line.startswith("#")]
    assert lowest == sorted({name.replace(">=", "==") for name in needed if ">=" in name})


def test_tox_gives_pip_no_path_that_may_have_a_space(pytestconfig: pytest.Config) -> None:
    """pip splits the value of PIP_CONSTRAINT at spaces."""
    pyproject = pytestconfig.inipath
    if pyproject is None or not (pyproject.parent / "tox.ini").exists():
        pytest.skip("not run from the source tree: there is no tox.ini")
    lines = (pyproject.parent / "tox.ini").read_text().splitlines()
    values = [line.partition("PIP_CONSTRAINT =")[2].strip() for line in lines]
    files = [value for value in values if value]
    assert files
    assert all((pyproject.parent / file).is_file() and "{" not in file for file in files)


def test_every_subpackage_is_installed() -> None:
    names = {name for name, _ in sources()}
    assert {"loptbench.tests", "loptbench.conformance", "loptbench.mechanisms"} <= names
    assert {f"loptbench.implementations.{n}" for n in ("reference", "torch", "jax")} <= names


def imported(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules


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


def test_modules_stay_readable() -> None:
    for _, file in sources():
        assert len(file.read_text().splitlines()) <= 400, file


def test_the_code_hash_is_that_of_the_sources() -> None:
    assert len(code_hash()) == 64
    assert code_hash() == code_hash()


NAMES = (
    "distributed",
    "jax",
    "joblib",
    "matplotlib",
    "pandas",
    "scipy.stats",
    "seaborn",
    "sklearn",
    "torch",
)
HEAVY = {name for name in NAMES if importlib.util.find_spec(name.partition(".")[0])}
"""Packages that take long to import, of those installed: a failed import is listed as well."""


def imported_by(*arguments: str) -> set[str]:
    """The modules that the command imports."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "loptbench", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in process.stderr.splitlines()}


def test_the_list_of_commands_imports_almost_nothing() -> None:
    modules = imported_by("--help")
    assert "loptbench.cli.main" in modules
    assert not modules & {*HEAVY, "numpy", "pydantic", "loptbench.cli.run"}


@pytest.mark.parametrize("command", ["list", "info"])
def test_what_is_listed_needs_no_framework(command: str) -> None:
    modules = imported_by(command)
    assert "loptbench.discovery" in modules
    assert not modules & HEAVY


def test_the_help_of_a_command_imports_no_framework() -> None:
    assert not imported_by("run", "--help") & HEAVY


def test_every_command_is_listed_with_a_sentence() -> None:
    for name, (_, sentence) in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name
        assert sentence.endswith(".")
        assert len(sentence) <= 66


def test_the_public_names_can_be_imported() -> None:
    assert set(loptbench.__all__) <= set(dir(loptbench))
    for name in loptbench.__all__:
        assert getattr(loptbench, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
        loptbench.evalute  # noqa: B018  # the access is what is tested


def test_every_file_of_data_is_installed(pytestconfig: pytest.Config) -> None:
    """A file that is not Python reaches a wheel only if pyproject.toml names it."""
    pyproject = pytestconfig.inipath
    if pyproject is None or not (pyproject.parent / "benchmark" / "protocol").exists():
        pytest.skip("not run from the source tree: there is no pyproject.toml to compare with")
    setup = tomllib.loads(pyproject.read_text())["tool"]["setuptools"]
    folders: dict[str, Path] = {
        name: pyproject.parent / folder for name, folder in setup["package-dir"].items()
    }

    def source(package: str) -> Path:
        owner = max((name for name in folders if f"{package}.".startswith(f"{name}.")), key=len)
        return folders[owner].joinpath(*package.removeprefix(owner).split("."))

    named = {
        file
        for package, patterns in setup["package-data"].items()
        for pattern in patterns
        for file in source(package).glob(pattern)
    }
    assert named
    for folder in folders.values():
        for file in folder.rglob("*"):
            if file.is_file() and file.suffix not in (".py", ".pyc", ".png"):
                assert file in named, f"pyproject.toml does not name {file}"
