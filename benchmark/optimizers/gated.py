"""Parameters of cells with gates, each W h + a s + b: their shapes and how they are drawn."""

from collections.abc import Iterable

import numpy as np

from loptbench.optimizers.kinds import Parameters, Shapes


def gate_shapes(gates: Iterable[str], n_units: int, input_shape: tuple[int, ...] = ()) -> Shapes:
    """W, a and b of each gate, and the readout w and b.

    >>> gate_shapes("f", 2)
    {'W_f': (2, 2), 'a_f': (2,), 'b_f': (2,), 'w': (2,), 'b': ()}

    Args:
        gates: the letters that name the gates.
        n_units: the number of units.
        input_shape: the shape of the input; () for a number.
    """
    shapes: Shapes = {}
    for gate in gates:
        shapes |= {
            f"W_{gate}": (n_units, n_units),
            f"a_{gate}": (n_units, *input_shape),
            f"b_{gate}": (n_units,),
        }
    return shapes | {"w": (n_units,), "b": ()}


def fan_in(shapes: Shapes) -> int:
    """The number of inputs of a gate: the units and what is made of the gradient."""
    (n_units,) = shapes["w"]
    n_inputs = next(int(np.prod(shape[1:])) for name, shape in shapes.items() if name[:2] == "a_")
    return n_units + n_inputs


def fresh_gates(shapes: Shapes, rng: np.random.Generator) -> Parameters:
    """Weights of the gates N(0, 1/fan_in); all other parameters zero."""
    return {
        name: rng.standard_normal(shape) / np.sqrt(fan_in(shapes))
        if name[:2] in ("W_", "a_")
        else np.zeros(shape)
        for name, shape in shapes.items()
    }


def random_gates(shapes: Shapes, rng: np.random.Generator) -> Parameters:
    """Weights of the gates and the readout N(0, 1/fan_in); all other parameters N(0, 1)."""
    return {
        name: rng.standard_normal(shape) / np.sqrt(fan_in(shapes) if name[0] in "Waw" else 1)
        for name, shape in shapes.items()
    }
