"""loptbench: a reproducibility benchmark and test suite for learned optimizers."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("loptbench")
except PackageNotFoundError:  # pragma: no cover - a checkout on the path, never installed
    __version__ = "0+unknown"
