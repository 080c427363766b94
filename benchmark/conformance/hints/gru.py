"""Known mistakes of a step of the GRU.

The equations, of which each mistake changes one:

    s  = input_scale · g
    z  = sigmoid(W_z h + a_z s + b_z)
    r  = sigmoid(W_r h + a_r s + b_r)
    c  = tanh(W_c (r ∘ h) + a_c s + b_c)
    h' = z ∘ h + (1 − z) ∘ c
    Δ  = output_scale · (w · h' + b)
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from scipy.special import expit as sigmoid

from loptbench.conformance.hints.matching import Float, Mistake
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec


class _Terms:
    """The terms of the equations, each (n_components, n_state)."""

    def __init__(self, spec: OptimizerSpec, state: Float, gradient: Float) -> None:
        self.p = {name: np.asarray(array, np.float64) for name, array in spec.parameters.items()}
        self.output_scale = spec.constants["output_scale"]
        self.h, self.s = state, spec.constants["input_scale"] * gradient[:, None]
        self.z, self.r = sigmoid(self.before("z", state)), sigmoid(self.before("r", state))
        self.c = np.tanh(self.before("c", self.r * state))
        self.new = self.mixed(self.z, self.c)

    def before(self, gate: str, h: Float) -> Float:
        """W h + a s + b of a gate, before its nonlinearity."""
        p = self.p
        return np.asarray(h @ p[f"W_{gate}"].T + p[f"a_{gate}"] * self.s + p[f"b_{gate}"])

    def mixed(self, z: Float, c: Float) -> Float:
        """z ∘ h + (1 − z) ∘ c."""
        return z * self.h + (1 - z) * c

    def read(self, new: Float) -> tuple[Float, Float]:
        """The new state, and the update that is read from it."""
        return new, self.output_scale * (new @ self.p["w"] + self.p["b"])


def gru_mistakes(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The mistakes, each with the states and updates that it gives.

    Args:
        spec: the GRU.
        state: (n_components, n_state).
        gradient: (n_components,).
    """
    with np.errstate(all="ignore"):
        t = _Terms(spec, state, gradient)
        p, s, z, r, c = t.p, t.s, t.z, t.r, t.c
        recurrent = state @ p["W_c"].T
        before_c = t.before("c", r * state)

    def candidate(before: Float) -> tuple[Float, Float]:
        return t.read(t.mixed(z, np.tanh(before)))

    yield Mistake(
        "a reset gate after the matrix product",
        lambda: candidate(r * recurrent + p["a_c"] * s + p["b_c"]),
    )
    yield Mistake(
        "a reset gate after the matrix product and its bias (as in torch.nn.GRUCell)",
        lambda: candidate(r * (recurrent + p["b_c"]) + p["a_c"] * s),
    )
    yield Mistake(
        "a reset gate on the whole of W_c h + a_c s + b_c",
        lambda: candidate(r * t.before("c", state)),
    )
    yield Mistake(
        "an update gate that keeps what it should replace",
        lambda: t.read((1 - z) * state + z * c),
    )
    yield Mistake("no reset gate", lambda: candidate(t.before("c", state)))
    yield Mistake("a reset gate of 1 − r", lambda: candidate(t.before("c", (1 - r) * state)))
    yield Mistake("no update gate", lambda: t.read(c))
    yield Mistake("a readout of the old state", lambda: (t.new, t.read(state)[1]))
    yield Mistake("a readout of the candidate c", lambda: (t.new, t.read(c)[1]))
    yield Mistake(
        "a readout bias b that output_scale does not multiply",
        lambda: (t.new, t.output_scale * (t.new @ p["w"]) + p["b"]),
    )
    yield Mistake(
        "input_scale on a s + b instead of on the gradient alone",
        lambda: _scaled_biases(spec, state, gradient),
    )
    for words, activation in (
        ("a sigmoid in the place of tanh", sigmoid),
        ("no tanh", lambda x: x),
        ("a ReLU in the place of tanh", lambda x: np.maximum(x, 0)),
        ("a hard tanh", lambda x: np.clip(x, -1, 1)),
    ):
        yield Mistake(words, lambda f=activation: t.read(t.mixed(z, f(before_c))))
    for words, gate in (
        ("tanh in the place of the gates' sigmoid", np.tanh),
        ("hard sigmoids, clip(x / 6 + ½)", lambda x: np.clip(x / 6 + 0.5, 0, 1)),
        ("hard sigmoids, clip(0.2 x + ½)", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    ):
        yield Mistake(words, lambda f=gate: _with_gates(t, f))
    yield from _mixed_up_weights(spec, state, gradient)


def _with_gates(t: _Terms, gate: object) -> tuple[Float, Float]:
    z, r = (gate(t.before(name, t.h)) for name in "zr")  # type: ignore[operator]
    return t.read(t.mixed(z, np.tanh(t.before("c", r * t.h))))


def _step(spec: OptimizerSpec, state: Float, gradient: Float) -> tuple[Float, Float]:
    new, update = oracle().optimizer(spec, "float64", "cpu").step(state, gradient)
    return new, update


def _scaled_biases(spec: OptimizerSpec, state: Float, gradient: Float) -> tuple[Float, Float]:
    scale = spec.constants["input_scale"]
    biases = {f"b_{gate}": scale * spec.parameters[f"b_{gate}"] for gate in "zrc"}
    return _step(spec.with_parameters(dict(spec.parameters) | biases), state, gradient)


GATES = {"z": "the update gate z", "r": "the reset gate r", "c": "the candidate c"}


def _mixed_up_weights(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The gates with each other's weights, and all weights transposed or of the wrong sign."""
    p = dict(spec.parameters)
    for order in permutations("zrc"):
        moved = [gate for gate, source in zip("zrc", order, strict=True) if gate != source]
        if not moved:
            continue
        words = (
            f"{GATES[moved[0]]} and {GATES[moved[1]]} swapped"
            if len(moved) == 2
            else f"gates in another order, {', '.join(order)} in the place of z, r, c"
        )
        mixed = {
            f"{kind}_{gate}": p[f"{kind}_{source}"]
            for kind in "Wab"
            for gate, source in zip("zrc", order, strict=True)
        }
        swapped = spec.with_parameters(p | mixed)
        yield Mistake(words, lambda swapped=swapped: _step(swapped, state, gradient))
    matrices = {f"W_{gate}": p[f"W_{gate}"].T for gate in "zrc"}
    transposed = spec.with_parameters(p | matrices)
    yield Mistake("all weight matrices transposed", lambda: _step(transposed, state, gradient))
    for kind, words in (("b", "the biases of all gates"), ("a", "the input weights of all gates")):
        zeros = spec.with_parameters(
            p | {f"{kind}_{gate}": 0 * p[f"{kind}_{gate}"] for gate in "zrc"}
        )
        yield Mistake(f"{words} left out", lambda zeros=zeros: _step(zeros, state, gradient))
