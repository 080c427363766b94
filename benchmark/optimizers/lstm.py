"""`lstm` and `log_lstm`: a component-wise long short-term memory, the second learned optimizer.

As in Andrychowicz et al., *Learning to learn by gradient descent by gradient descent* (2016,
arXiv:1606.04474), with one layer. Parameters W_i, W_f, W_o, W_u (n_units, n_units); a_i, a_f, a_o,
a_u (n_units,), or (n_units, 2) in `log_lstm`; b_i, b_f, b_o, b_u, w, h0, c0 (n_units,); b ();
constants input_scale, output_scale. The first axis of a matrix is its output unit. n_state is
2 · n_units, and the state is (h, c):

    i  = sigmoid(W_i h + a_i s + b_i)           input gate
    f  = sigmoid(W_f h + a_f s + b_f)           forget gate
    o  = sigmoid(W_o h + a_o s + b_o)           output gate
    u  = tanh(W_u h + a_u s + b_u)              candidate
    c' = f ∘ c + i ∘ u
    h' = o ∘ tanh(c')
    Δ  = output_scale · (w · h' + b)

`lstm` is handed the gradient, and `log_lstm` its logarithm and sign, which the paper's appendix A
proposes, with p the constant `log_range`, by default 10:

    s = input_scale · g                                                       `lstm`
    s = (log(x) / p, sign(x)) if |x| ≥ e^(−p), else (−1, e^p x);
        x = input_scale · g, log(x) of its size                               `log_lstm`

Nothing is added to b_f in a step: a fresh one begins with b_f = 1, so that the cell remembers.
"""

from functools import partial

import numpy as np

from loptbench.optimizers.gated import fresh_gates, gate_shapes, random_gates
from loptbench.optimizers.kinds import Architecture, Parameters, Shapes, add_architecture

GATES = "ifou"

CONVENTION = "one-bias-nothing-added-to-the-forget-gate"
"""Others have two biases per gate (`torch.nn.LSTMCell`), or add 1 to the forget gate's in a step
(the code of the LSTM's paper): with the same weights, another optimizer."""


def _shapes(n_units: int, input_shape: tuple[int, ...] = ()) -> Shapes:
    return gate_shapes(GATES, n_units, input_shape) | {"h0": (n_units,), "c0": (n_units,)}


def _fresh(shapes: Shapes, rng: np.random.Generator) -> Parameters:
    return {**fresh_gates(shapes, rng), "b_f": np.ones(shapes["b_f"])}


LSTM = Architecture(
    name="lstm",
    shapes=_shapes,
    starts=("h0", "c0"),
    constants={"input_scale": 1.0, "output_scale": 1.0},
    fresh=_fresh,
    random=random_gates,
    convention=CONVENTION,
)

LOG_LSTM = Architecture(
    name="log_lstm",
    shapes=partial(_shapes, input_shape=(2,)),
    starts=LSTM.starts,
    constants={**LSTM.constants, "log_range": 10.0},
    fresh=_fresh,
    random=random_gates,
    convention=CONVENTION,
)

add_architecture(LSTM)
add_architecture(LOG_LSTM)
