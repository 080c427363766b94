"""Kinds of optimizers: what a spec of each holds.

A hand-designed kind is a `Kind`. A learned one is an `Architecture`, from which its `Kind` follows.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError, UnknownNameError

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


def get_kind(name: str) -> Kind:
    """The optimizer kind of that name.

    Raises:
        UnknownNameError: there is no such kind; the message lists the known ones.

    >>> from loptbench.optimizers import get_kind
    >>> get_kind("gru").constants
    ('input_scale', 'output_scale')
    """
    if name not in KINDS:
        raise UnknownNameError("optimizer kind", name, list(KINDS))
    return KINDS[name]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A learned optimizer as data: its parameters, how they are drawn, where its state starts.

    The cell, which computes the step, is a file per framework; see `docs/how_it_works`.

    Attributes:
        name: its name, a kind of optimizer.
        shapes: the shape of every parameter, given the number of units.
        starts: the parameters that the state starts at, joined in this order; the first has one
            entry per unit.
        constants: the constants and their values by default.
        fresh: draws the parameters before meta-training, given the shapes and a generator.
        random: draws parameters of which none is zero, so that a test notices any missing term.
        convention: what two implementations may read differently in the same weights.
    """

    name: str
    shapes: Callable[[int], Shapes]
    starts: tuple[str, ...]
    constants: Constants
    fresh: Callable[[Shapes, np.random.Generator], Parameters]
    random: Callable[[Shapes, np.random.Generator], Parameters]
    convention: str

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


ARCHITECTURES: dict[str, Architecture] = {}
"""The architectures by name; the modules of this package add theirs."""


def add_architecture(architecture: Architecture) -> None:
    """Make an architecture known under its name.

    Raises:
        LoptbenchError: another kind of optimizer has the name.
    """
    name = architecture.name
    if name in KINDS and ARCHITECTURES.get(name) != architecture:
        raise LoptbenchError(f"an optimizer kind is named {name!r} already; choose another name")
    ARCHITECTURES[name], KINDS[name] = architecture, architecture.kind


def get_architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        UnknownNameError: there is no such architecture; the message lists the known ones.

    >>> get_architecture("gru").starts
    ('h0',)
    """
    if name not in ARCHITECTURES:
        raise UnknownNameError("architecture", name, list(ARCHITECTURES))
    return ARCHITECTURES[name]
