"""The pytest plugin: which implementations the suite tests, and what the header says.

It is loaded in every pytest session of an environment that has loptbench, so it imports nothing of
the harness until a test of `loptbench.tests` asks for an implementation.
"""

import os
from typing import TYPE_CHECKING

import pytest

import loptbench

if TYPE_CHECKING:
    from loptbench.registry import Entry

REQUIRE = "LOPTBENCH_REQUIRE"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--implementation`."""
    parser.getgroup("loptbench").addoption(
        "--implementation",
        action="append",
        default=[],
        metavar="NAME",
        help="test only this implementation: a name or package.module:Object; repeatable",
    )


def selected(config: pytest.Config) -> "list[Entry]":
    """The implementations that this session tests.

    Raises:
        pytest.UsageError: one that `--implementation` names cannot be used, or one that
            `LOPTBENCH_REQUIRE` names is not installed.
    """
    from loptbench.errors import LoptbenchError
    from loptbench.registry import Availability, Entry, discover, get_implementation

    chosen: list[str] = config.getoption("--implementation")
    try:
        entries = [
            Entry(name, name, Availability.INSTALLED, implementation=get_implementation(name))
            for name in chosen
        ] or discover()
    except LoptbenchError as error:
        raise pytest.UsageError(f"--implementation: {error}") from error
    installed = {e.name for e in entries if e.availability is Availability.INSTALLED}
    required = {name for name in os.environ.get(REQUIRE, "").split(",") if name}
    if not chosen and required - installed:
        missing = ", ".join(sorted(required - installed))
        raise pytest.UsageError(f"{REQUIRE} asks for {missing}, which cannot be used here")
    return entries


def pytest_report_header(config: pytest.Config) -> str:
    """Say which loptbench this is; the suite's own conftest says more."""
    return f"loptbench: {loptbench.__version__}"
