"""Which implementations a pytest session tests."""

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from loptbench.discovery import DiscoveredImplementation

REQUIRE = "LOPTBENCH_REQUIRE"
"""The environment variable with the implementations that must be installed, separated by commas."""
PROFILE = "LOPTBENCH_HYPOTHESIS"
"""The environment variable with the name of the hypothesis profile."""
SELECTED = pytest.StashKey["list[DiscoveredImplementation]"]()


def selected(config: pytest.Config) -> "list[DiscoveredImplementation]":
    """The implementations that this session tests, discovered once.

    Raises:
        pytest.UsageError: one that `--loptbench-implementation` names cannot be used, or one that
            `LOPTBENCH_REQUIRE` names is not installed.
    """
    from loptbench.discovery import (
        Availability,
        DiscoveredImplementation,
        discover,
        get_implementation,
    )
    from loptbench.errors import LoptbenchError

    if SELECTED in config.stash:
        return config.stash[SELECTED]
    chosen: list[str] = config.getoption("--loptbench-implementation")
    try:
        entries = [
            DiscoveredImplementation(
                name, name, Availability.INSTALLED, implementation=get_implementation(name)
            )
            for name in chosen
        ] or discover()
    except LoptbenchError as error:
        raise pytest.UsageError(f"--loptbench-implementation: {error}") from error
    installed = {e.name for e in entries if e.availability is Availability.INSTALLED}
    required = {name for name in os.environ.get(REQUIRE, "").split(",") if name}
    if not chosen and required - installed:
        missing = ", ".join(sorted(required - installed))
        raise pytest.UsageError(f"{REQUIRE} asks for {missing}, which cannot be used here")
    config.stash[SELECTED] = entries
    return entries
