"""The shell completes the names that a command takes."""

import pytest
from click.shell_completion import ShellComplete

from loptbench.cli.main import cli


def offered(words: str) -> list[str]:
    """What is offered after the last of some words."""
    *before, typed = words.split(" ")
    shell = ShellComplete(cli, {}, "loptbench", "_LOPTBENCH_COMPLETE")
    return [item.value for item in shell.get_completions(before, typed)]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("rep", "reproduce"),
        ("run --task q", "quadratic"),
        ("run --checkpoint digits-quick-jax-", "digits-quick-jax-0"),
        ("run --implementation ref", "reference"),
        ("check ref", "reference"),
        ("analyze two_moons-p", "two_moons-paper-jax-0"),
        ("meta-train ros", "rosenbrock"),
        ("tune --task d", "digits"),
        ("reproduce --implementation ref", "reference"),
    ],
)
def test_names_are_completed(words: str, name: str) -> None:
    typed = words.split(" ")[-1]
    names = offered(words)
    assert name in names
    assert all(value.startswith(typed) for value in names)


def test_nothing_is_offered_where_nothing_fits() -> None:
    assert offered("analyze no-such-checkpoint") == []
