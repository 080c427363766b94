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

import numpy as np

from loptbench.optimizers.spec import KINDS, Kind, OptimizerSpec, Parameters


def _shapes(n_state: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for gate in "zrc":
        shapes |= {
            f"W_{gate}": (n_state, n_state),
            f"a_{gate}": (n_state,),
            f"b_{gate}": (n_state,),
        }
    return shapes | {"w": (n_state,), "b": (), "h0": (n_state,)}


KINDS["gru"] = Kind(
    _shapes, lambda parameters: int(parameters["h0"].size), ("input_scale", "output_scale")
)


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
    rng = np.random.Generator(np.random.Philox(key=np.array([0, seed], dtype=np.uint64)))
    parameters = {name: np.zeros(shape) for name, shape in _shapes(n_state).items()}
    for gate in "zrc":
        for name in (f"W_{gate}", f"a_{gate}"):
            shape = parameters[name].shape
            parameters[name] = rng.standard_normal(shape) / np.sqrt(n_state + 1)
    return gru(parameters, input_scale, output_scale)


def random_gru(
    n_state: int, seed: int, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """A GRU in which no array is zero, so that a test notices any missing term of the equations.

    >>> bool(random_gru(8, seed=0).parameters["h0"].any())
    True
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([1, seed], dtype=np.uint64)))
    parameters = {
        name: rng.standard_normal(shape) / np.sqrt(n_state + 1 if name[0] in "Waw" else 1)
        for name, shape in _shapes(n_state).items()
    }
    return gru(parameters, input_scale, output_scale)
