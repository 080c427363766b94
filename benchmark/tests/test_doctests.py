"""The examples in docstrings run and give the results that they show."""

import doctest
import importlib
import importlib.util
from pathlib import Path

import pytest

from loptbench.tests.import_graph import modules

NEEDS = {
    "loptbench.implementations.torch": "torch",
    "loptbench.implementations.jax": "jax",
    "loptbench.reports": "seaborn",
}
"""Packages that need more than the core to be imported, and the library that they need."""


def with_examples() -> list[str]:
    return sorted(name for name, file in modules().items() if ">>> " in file.read_text())


@pytest.mark.harness
@pytest.mark.parametrize("name", with_examples())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, needed in NEEDS.items():
        if name.startswith(package) and importlib.util.find_spec(needed) is None:
            pytest.skip(f"{package} needs {needed}")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted
    assert not results.failed
    assert not [*tmp_path.iterdir()], "an example leaves files behind"
