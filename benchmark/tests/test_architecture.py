"""Imports point down: a module imports from lower layers only, and there are no cycles.

Every import counts, also those inside functions and for type checkers alone.
"""

from collections.abc import Iterator

import pytest

from loptbench.tests.import_graph import LAYERS, imports, layer, modules

pytestmark = pytest.mark.harness

IMPLEMENTATIONS_IMPORT = (
    "errors",
    "threads",
    "ridders",
    "tasks",
    "optimizers",
    "protocol",
    "implementations",
)


def points_up(module: str, imported: str) -> bool:
    own, target = layer(module), layer(imported)
    if own == target:
        return False
    if target == "implementations":
        return True  # an implementation is found by its entry point
    if own == "implementations":
        return target not in IMPLEMENTATIONS_IMPORT
    return LAYERS.index(target) > LAYERS.index(own)


def upward() -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module in modules()
        for imported in imports(module)
        if points_up(module, imported)
    }


def test_every_module_is_in_a_layer() -> None:
    assert {layer(module) for module in modules()} == set(LAYERS)


def test_imports_point_down() -> None:
    violations = sorted(upward())
    assert not violations, "\n".join(f"{a} imports {b}, of a higher layer" for a, b in violations)


def cycles() -> Iterator[list[str]]:
    """The chains of imports that lead back to their first module."""
    done: set[str] = set()

    def follow(chain: list[str]) -> Iterator[list[str]]:
        for imported in sorted(imports(chain[-1])):
            if imported in chain:
                yield [*chain[chain.index(imported) :], imported]
            elif imported not in done:
                yield from follow([*chain, imported])
        done.add(chain[-1])

    for module in sorted(modules()):
        if module not in done:
            yield from follow([module])


def test_no_circles() -> None:
    assert not list(cycles()), "\n".join(" imports ".join(chain) for chain in cycles())


def test_a_planted_violation_is_noticed() -> None:
    assert points_up("loptbench.agreement.comparison", "loptbench.implementations.reference.gru")
    assert points_up("loptbench.results.provenance", "loptbench.reports")
    assert points_up("loptbench.implementations.torch.gru", "loptbench.rollout.trajectory")
    assert not points_up("loptbench.study.plan", "loptbench.results.store")
