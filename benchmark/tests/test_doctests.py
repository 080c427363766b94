"""The examples in docstrings do what they say."""

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import loptbench
import loptbench.implementations
import loptbench.reports
import loptbench.tasks

PACKAGES = (loptbench, loptbench.implementations, loptbench.tasks, loptbench.reports)


def modules_with_examples() -> Iterator[str]:
    for package in PACKAGES:
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            if parts[0] != "tests" and ">>> " in file.read_text():
                yield ".".join([package.__name__, *parts]).removesuffix(".__init__")


@pytest.mark.parametrize("name", sorted(set(modules_with_examples())))
def test_examples(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testmod(module, optionflags=flags)
    assert tried > 0
    assert failed == 0
