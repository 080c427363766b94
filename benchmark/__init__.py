"""loptbench: a reproducibility benchmark and test suite for learned optimizers.

>>> import loptbench
>>> checkpoint = loptbench.load("quadratic-quick-jax-0")
>>> evaluation = loptbench.evaluate(checkpoint, n_problems=2, n_steps=10)
>>> evaluation.curve_mean.shape
(10,)

Every name below is imported when it is first used, so `import loptbench` is fast.
"""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loptbench.claims.judging import judge
    from loptbench.comparison.stores import compare
    from loptbench.conformance.checking import check
    from loptbench.reports.write import report
    from loptbench.results.store import Store
    from loptbench.study.analyze import analyze
    from loptbench.study.evaluate import evaluate
    from loptbench.study.run import run
    from loptbench.training.run import meta_train
    from loptbench.tuning.run import tune
    from loptbench.zoo.loading import load

__all__ = [
    "Store",
    "analyze",
    "check",
    "compare",
    "evaluate",
    "judge",
    "load",
    "meta_train",
    "report",
    "run",
    "tune",
]

_MODULES = {
    "Store": "loptbench.results.store",
    "analyze": "loptbench.study.analyze",
    "check": "loptbench.conformance.checking",
    "compare": "loptbench.comparison.stores",
    "evaluate": "loptbench.study.evaluate",
    "judge": "loptbench.claims.judging",
    "load": "loptbench.zoo.loading",
    "meta_train": "loptbench.training.run",
    "report": "loptbench.reports.write",
    "run": "loptbench.study.run",
    "tune": "loptbench.tuning.run",
}

try:
    __version__ = version("loptbench")
except PackageNotFoundError:  # pragma: no cover - a checkout on the path, never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'loptbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
