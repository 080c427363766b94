"""Invalid implementations, each with another fault, for tests of discovery and of the command."""

from loptbench.implementations.reference.implementation import Implementation as Reference


class NothingDeclared:
    """Declares none of the attributes of an implementation."""

    name = "nothing"


class UnknownKind(Reference):
    """Declares an optimizer kind that does not exist."""

    optimizers = ("gru", "lion")


class NothingOffered(Reference):
    """Declares no optimizer."""

    optimizers = ()


class OneString(Reference):
    """Declares a string instead of a collection."""

    dtypes = "float64"  # type: ignore[assignment]


class NeedsArguments(Reference):
    """Cannot be instantiated without arguments."""

    def __init__(self, device: str) -> None:
        self.device = device


class Exits(Reference):
    """Ends the process with exit code 0 when it is instantiated."""

    def __init__(self) -> None:
        raise SystemExit(0)


class LazyImport(Reference):
    """Raises when a declaration is read."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Fails as a lazy import would."""
        raise RuntimeError("the library is of another version")


class ElsewhereOnly(Reference):
    """Declares only a device that this machine does not have."""

    devices = ("abacus",)


class TwoLines(Reference):
    """Has a name of two lines."""

    name = "two\nlines"


class StepOnly:
    """Offers level 1 of the reference for sgd only: no task and no higher level."""

    name = "step only"
    optimizers = ("sgd",)
    tasks = ()
    dtypes = ("float64",)
    devices = ("cpu",)
    versions = ("numpy",)

    def __init__(self) -> None:
        self.optimizer = Reference().optimizer
        self.problems = Reference().problems
