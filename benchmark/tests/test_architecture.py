"""Imports point down: a module imports from lower layers only, and there are no cycles.

Every import counts, also those inside functions and for type checkers alone.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import loptbench
import loptbench.implementations
import loptbench.reports
import loptbench.tasks

LAYERS = (
    "errors",
    "reading",
    "progress",
    "global_state",
    "threads",
    "tasks",
    "optimizers",
    "protocol",
    "storage",
    "statistics",
    "results",
    "implementations",
    "discovery",
    "rollout",
    "agreement",
    "mechanisms",
    "training",
    "tuning",
    "zoo",
    "conformance",
    "claims",
    "study",
    "comparison",
    "timing",
    "reports",
    "pytest_plugin",
    "cli",
    "__main__",
    "",
)
"""The folders and modules of loptbench, lowest first; the last is the package, the public API."""

IMPLEMENTATIONS_IMPORT = ("errors", "threads", "tasks", "optimizers", "protocol", "implementations")

PACKAGES = (loptbench, loptbench.implementations, loptbench.reports, loptbench.tasks)


@functools.cache
def modules() -> dict[str, Path]:
    """The source file of every module but the tests, by its dotted name."""
    files = {}
    for package in PACKAGES:
        root = Path(package.__path__[0])
        for file in root.rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
            name = ".".join([package.__name__, *parts]).removesuffix(".__init__")
            if not name.startswith("loptbench.tests"):
                files[name] = file
    return files


@functools.cache
def imports(module: str) -> frozenset[str]:
    """The modules of loptbench that a module imports."""
    targets = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            # `from package import name`: the name is a module, or the package defines it.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = names & modules().keys()
            targets |= submodules
            if submodules != names:
                targets.add(str(node.module))
    return frozenset(targets & modules().keys() - {module})


def layer(module: str) -> str:
    """The layer that a module belongs to."""
    return module.removeprefix("loptbench").removeprefix(".").partition(".")[0]


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
