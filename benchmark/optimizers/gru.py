"""`gru`: the learned optimizer, a component-wise gated recurrent unit.

As in the authors' library `renn`, the reset gate acts *before* the matrix product. Parameters W_z,
W_r, W_c (n_state, n_state); a_z, a_r, a_c, b_z, b_r, b_c, w, h0 (n_state,); b (); constants
input_scale, output_scale. The first axis of a matrix is its output unit:

    s  = input_scale · g
    z  = sigmoid(W_z h + a_z s + b_z)           update gate
    r  = sigmoid(W_r h + a_r s + b_r)           reset gate
    c  = tanh(W_c (r ∘ h) + a_c s + b_c)        candidate
    h' = z ∘ h + (1 − z) ∘ c
    Δ  = output_scale · (w · h' + b)
"""

from loptbench.optimizers.gated import fresh_gates, gate_shapes, random_gates
from loptbench.optimizers.kinds import (
    RESET_BEFORE_PRODUCT,
    Architecture,
    Parameters,
    Shapes,
    add_architecture,
)
from loptbench.optimizers.spec import OptimizerSpec, fresh, random


def _shapes(n_units: int) -> Shapes:
    return gate_shapes("zrc", n_units) | {"h0": (n_units,)}


GRU = Architecture(
    name="gru",
    shapes=_shapes,
    starts=("h0",),
    constants={"input_scale": 1.0, "output_scale": 1.0},
    fresh=fresh_gates,
    random=random_gates,
    convention=RESET_BEFORE_PRODUCT,
)
add_architecture(GRU)


def gru(
    parameters: Parameters, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """The learned optimizer with these weights."""
    constants = {"input_scale": input_scale, "output_scale": output_scale}
    return OptimizerSpec("gru", dict(parameters), constants)


def fresh_gru(
    n_state: int, seed: int, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """A GRU before meta-training: weights N(0, 1/fan_in); biases, `h0` and readout zero.

    The fan-in of every weight is n_state + 1: the inputs of a gate are n_state units and one
    gradient.

    >>> fresh_gru(8, seed=0).parameters["W_z"].shape
    (8, 8)
    """
    return fresh("gru", n_state, seed, input_scale=input_scale, output_scale=output_scale)


def random_gru(
    n_state: int, seed: int, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """A GRU in which no array is zero, so that a test notices any missing term of the equations.

    >>> bool(random_gru(8, seed=0).parameters["h0"].any())
    True
    """
    return random("gru", n_state, seed, input_scale=input_scale, output_scale=output_scale)
