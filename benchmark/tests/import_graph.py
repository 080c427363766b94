"""The import graph of loptbench, read from its sources."""

import ast
import functools
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
    "importing",
    "ridders",
    "tasks",
    "optimizers",
    "protocol",
    "storage",
    "statistics",
    "results",
    "implementations",
    "discovery",
    "engines",
    "rollout",
    "agreement",
    "mechanisms",
    "adapters",
    "training",
    "tuning",
    "zoo",
    "conformance",
    "claims",
    "study",
    "gallery",
    "horizon",
    "comparison",
    "reference_results",
    "timing",
    "reports",
    "pytest_plugin",
    "cli",
    "__main__",
    "",
)
"""The folders and modules of loptbench, lowest first; the last is the package, the public API."""

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


def layer_imports() -> dict[str, list[str]]:
    """The layers that each layer imports, both lowest first.

    Implementations are found by their entry points: what they import is drawn, and nothing that
    imports them.
    """
    graph: dict[str, set[str]] = {name: set() for name in LAYERS}
    for module in modules():
        graph[layer(module)] |= {layer(imported) for imported in imports(module)}
    return {name: [other for other in LAYERS if other in graph[name] - {name}] for name in LAYERS}
