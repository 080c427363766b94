"""Objects that are not implementations, each in its own way; for the registry's and CLI's tests."""

from loptbench.implementations.reference.implementation import Implementation as Reference


class NothingDeclared:
    """No attribute of an implementation."""

    name = "nothing"


class UnknownKind(Reference):
    """An optimizer kind that there is not."""

    optimizers = ("gru", "lion")


class NothingOffered(Reference):
    """No optimizer at all."""

    optimizers = ()


class OneString(Reference):
    """A string instead of a collection."""

    dtypes = "float64"  # type: ignore[assignment]


class NeedsArguments(Reference):
    """Cannot be made without arguments."""

    def __init__(self, device: str) -> None:
        self.device = device


class Exits(Reference):
    """Ends the process when it is made, with success."""

    def __init__(self) -> None:
        raise SystemExit(0)


class LazyImport(Reference):
    """A declaration that cannot be read."""

    @property
    def tasks(self) -> tuple[str, ...]:  # type: ignore[override]
        """Fails as a lazy import would."""
        raise RuntimeError("the library is of another version")


class ElsewhereOnly(Reference):
    """Runs on a device that nobody can check here."""

    devices = ("abacus",)


class TwoLines(Reference):
    """A name that is not one line."""

    name = "two\nlines"


class StepOnly:
    """Level 1 of the reference for sgd, and nothing else: no task, no higher level."""

    name = "step only"
    optimizers = ("sgd",)
    tasks = ()
    dtypes = ("float64",)
    devices = ("cpu",)
    versions = ("numpy",)

    def __init__(self) -> None:
        self.optimizer = Reference().optimizer
        self.problems = Reference().problems
