"""The folders of the implementations: one module per optimizer kind and one per task."""

import importlib
from collections.abc import Iterable
from importlib.util import find_spec

import pytest

from loptbench.optimizers import KINDS, SCHEDULED
from loptbench.tasks import SHIPPED

pytestmark = pytest.mark.harness

OPTIMIZERS = [*(set(KINDS) - set(SCHEDULED)), "scheduled"]


@pytest.mark.parametrize("name", ["reference", "torch", "jax"])
@pytest.mark.parametrize(("folder", "modules"), [("optimizers", OPTIMIZERS), ("tasks", SHIPPED)])
def test_each_kind_and_task_has_a_module(name: str, folder: str, modules: Iterable[str]) -> None:
    if name != "reference":
        pytest.importorskip(name)
    for module in modules:
        path = f"loptbench.implementations.{name}.{folder}.{module}"
        assert find_spec(path) is not None, path


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_the_declaration_names_everything_that_is_implemented(name: str) -> None:
    pytest.importorskip(name)
    root = f"loptbench.implementations.{name}"
    declaration = importlib.import_module(f"{root}.declaration").Declaration()
    assert set(declaration.optimizers) == set(importlib.import_module(f"{root}.optimizers").KINDS)
    assert set(SHIPPED) == set(importlib.import_module(f"{root}.tasks").LOSSES)
