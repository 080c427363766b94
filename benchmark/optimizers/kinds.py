"""Kinds of optimizers: what a spec of each holds.

A hand-designed kind is a `Kind`. A learned one is an `Architecture`, from which its `Kind` follows.
"""

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.importing import import_object

Parameters = Mapping[str, NDArray[np.floating]]
"""Named arrays that are trained or tuned."""

Constants = Mapping[str, float]
"""Named numbers that are chosen once and never trained."""

Shapes = dict[str, tuple[int, ...]]
"""The shape of every parameter, by name."""

RESET_BEFORE_PRODUCT = "reset-before-product"
"""The GRU convention: the reset gate multiplies h *before* the product with W_c.

`torch.nn.GRUCell`, cuDNN and flax multiply after it: with the same weights, another optimizer.
Hand-designed kinds carry the name too, because the hashes of their specs have had it."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """The contents of a spec of this kind.

    Attributes:
        shapes: the shape of every parameter, given the size.
        n_state: the number of state variables of a component, given the parameters.
        constants: the names of the constants.
        size: what the shapes depend on, given the parameters, such as the number of units; None if
            that is n_state.
        convention: what two implementations may read differently in the same weights.
    """

    shapes: Callable[[int], Shapes]
    n_state: Callable[[Parameters], int]
    constants: tuple[str, ...] = ()
    size: Callable[[Parameters], int] | None = None
    convention: str = RESET_BEFORE_PRODUCT

    def shapes_of(self, parameters: Parameters) -> Shapes:
        """The shapes that parameters of this size must have."""
        return self.shapes((self.size or self.n_state)(parameters))


KINDS: dict[str, Kind] = {}
"""The kinds by name; the modules of this package add theirs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A learned optimizer as data: its parameters, how they are drawn, where its state starts.

    The cell, which computes the step, is a file for each framework.

    Attributes:
        name: its name, a kind of optimizer.
        shapes: the shape of every parameter, given the number of units.
        starts: the parameters that the state starts at, joined in this order; the first has one
            entry per unit.
        constants: the constants and their values by default.
        fresh: draws the parameters before meta-training, given the shapes and a generator.
        random: draws parameters of which none is zero, so that a test notices any missing term.
        convention: what two implementations may read differently in the same weights.
        cells: of an architecture from outside, where the cell of each framework is, as
            `package.module:Object`. That of `torch` and `jax` is the function
            `step(parameters, constants, state, gradient)`, and that of `reference` a class like
            `loptbench.implementations.reference.optimizers.cell.Cell`. An implementation without
            a cell does not offer the architecture.
    """

    name: str
    shapes: Callable[[int], Shapes]
    starts: tuple[str, ...]
    constants: Constants
    fresh: Callable[[Shapes, np.random.Generator], Parameters]
    random: Callable[[Shapes, np.random.Generator], Parameters]
    convention: str
    cells: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def n_units(self, parameters: Parameters) -> int:
        """The number of units."""
        return int(parameters[self.starts[0]].size)

    def n_state(self, parameters: Parameters) -> int:
        """The number of state variables of a component."""
        return sum(int(parameters[name].size) for name in self.starts)

    @property
    def kind(self) -> Kind:
        """The contents of a spec of this architecture."""
        return Kind(self.shapes, self.n_state, tuple(self.constants), self.n_units, self.convention)


DEFAULT_ARCHITECTURE = "gru"
"""The paper's architecture. Names of settings and of checkpoints do not mention it."""

ARCHITECTURES: dict[str, Architecture] = {}
"""The architectures by name; the modules of this package add theirs, and so may others."""

GROUP = "loptbench.architectures"
"""The group of entry points of architectures from outside."""

VARIABLE = "LOPTBENCH_ARCHITECTURES"
"""The environment variable that names further ones, `package.module:Object`, with commas between.
Processes that this one starts find them there."""


def add_architecture(architecture: Architecture) -> None:
    """Make an architecture known under its name.

    Raises:
        LoptbenchError: another kind of optimizer has the name.
    """
    name = architecture.name
    if name in KINDS and ARCHITECTURES.get(name) != architecture:
        raise LoptbenchError(f"an optimizer kind is named {name!r} already; choose another name")
    ARCHITECTURES[name], KINDS[name] = architecture, architecture.kind


def import_architecture(path: str) -> Architecture:
    """Import an architecture, and make it known to this process and to those that it starts.

    Args:
        path: `package.module:Object`.

    Raises:
        LoptbenchError: the import fails, the object is no `Architecture`, or its name is taken.
    """
    architecture = import_object(path)
    if not isinstance(architecture, Architecture):
        raise LoptbenchError(
            f"{path} is a {type(architecture).__name__}, not a loptbench.optimizers.Architecture"
        )
    add_architecture(architecture)
    named = _named()
    if path not in named:
        os.environ[VARIABLE] = ",".join([*named, path])
    return architecture


def _named() -> list[str]:
    return [path for path in os.environ.get(VARIABLE, "").split(",") if path]


@functools.cache
def _registered() -> tuple[str, ...]:
    return tuple(point.value for point in entry_points(group=GROUP))


_imported: set[str] = set()


def import_architectures() -> None:
    """Import the architectures from outside: of entry points, and of the environment variable.

    What another package registers and cannot be imported is warned of, and left out.

    Raises:
        LoptbenchError: one that the environment variable names cannot be imported.
    """
    for path in (*_registered(), *_named()):
        if path in _imported:
            continue
        _imported.add(path)
        try:
            import_architecture(path)
        except LoptbenchError as error:
            if path in _named():
                _imported.remove(path)
                raise LoptbenchError(f"{VARIABLE} names {path}: {error}") from error
            warnings.warn(f"the architecture at {path} is left out: {error}", stacklevel=2)


def brought_to(framework: str) -> tuple[str, ...]:
    """The architectures from outside that have a cell for a framework.

    >>> brought_to("fortran")
    ()
    """
    import_architectures()
    return tuple(name for name, learned in ARCHITECTURES.items() if framework in learned.cells)


class KindsAndBrought:
    """The class attribute `optimizers` of a built-in implementation.

    Its kinds, and the architectures from outside that have a cell for it.
    """

    def __init__(self, framework: str, *kinds: str) -> None:
        self.framework, self.kinds = framework, kinds

    def __get__(self, instance: object, owner: type) -> tuple[str, ...]:
        return (*self.kinds, *brought_to(self.framework))


def load_cell(name: str, framework: str) -> Any:
    """The cell of an architecture from outside.

    Raises:
        LoptbenchError: it has none for this framework, or it cannot be imported.
    """
    cells = get_architecture(name).cells
    if framework not in cells:
        raise LoptbenchError(
            f"{framework} does not offer {name!r}: the architecture brings no cell for it"
        )
    return import_object(cells[framework])


def why_not_offered(name: str, implementation: str) -> str:
    """Why an implementation does not compute a kind, as the end of a message; empty if unknown.

    Args:
        name: the kind.
        implementation: the name of the implementation.
    """
    learned = ARCHITECTURES.get(name)
    if learned is None or not learned.cells or implementation in learned.cells:
        return ""
    return f": not offered, because the architecture {name!r} brings no cell for it"


def get_kind(name: str) -> Kind:
    """The optimizer kind of that name.

    Raises:
        UnknownNameError: there is no such kind; the message lists the known ones.

    >>> from loptbench.optimizers import get_kind
    >>> get_kind("gru").constants
    ('input_scale', 'output_scale')
    """
    if name not in KINDS:
        import_architectures()
    if name not in KINDS:
        raise UnknownNameError("optimizer kind", name, list(KINDS))
    return KINDS[name]


def get_architecture(name: str) -> Architecture:
    """The architecture of that name, or at `package.module:Object`.

    Raises:
        UnknownNameError: there is no such architecture; the message lists the known ones.

    >>> get_architecture("gru").starts
    ('h0',)
    """
    if ":" in name:
        return import_architecture(name)
    if name not in ARCHITECTURES:
        import_architectures()
    if name not in ARCHITECTURES:
        known = [*ARCHITECTURES, "or package.module:Object"]
        raise UnknownNameError("architecture", name, known)
    return ARCHITECTURES[name]
