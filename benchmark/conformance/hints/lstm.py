"""Known mistakes of a step of the LSTM.

The equations, of which each mistake changes one:

    i, f, o = sigmoid(W_k h + a_k s + b_k), k = i, f, o
    u  = tanh(W_u h + a_u s + b_u)
    c' = f ∘ c + i ∘ u
    h' = o ∘ tanh(c')
    Δ  = output_scale · (w · h' + b)
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import expit as sigmoid

from loptbench.conformance.hints.matching import Float, Mistake
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec

GATES = {
    "i": "the input gate i",
    "f": "the forget gate f",
    "o": "the output gate o",
    "u": "the candidate u",
}


class _Cell:
    """A step of the LSTM; each method is one of its equations."""

    def __init__(self, spec: OptimizerSpec, state: Float, gradient: Float) -> None:
        self.p = {name: np.asarray(array, np.float64) for name, array in spec.parameters.items()}
        self.constants = spec.constants
        self.h, self.c = np.split(state, 2, axis=1)
        self.s: Any = oracle().optimizer(spec, "float64", "cpu").inputs(gradient)
        self.g = gradient

    def gate(self, k: str) -> Float:
        """W h + a s + b, before the nonlinearity."""
        a = self.p[f"a_{k}"].reshape(self.h.shape[1], -1)
        return np.asarray(self.h @ self.p[f"W_{k}"].T + self.s @ a.T + self.p[f"b_{k}"])

    def squash(self, x: Float) -> Float:
        """The gates' nonlinearity."""
        return np.asarray(sigmoid(x))

    def candidate(self) -> Float:
        """U."""
        return np.tanh(self.gate("u"))

    def cell(self) -> Float:
        """c' = f ∘ c + i ∘ u."""
        i, f = (self.squash(self.gate(k)) for k in "if")
        return f * self.c + i * self.candidate()

    def hidden(self, c: Float) -> Float:
        """h' = o ∘ tanh(c')."""
        return self.squash(self.gate("o")) * np.tanh(c)

    def state(self, h: Float, c: Float) -> Float:
        """(h', c')."""
        return np.concatenate([h, c], axis=1)

    def read(self, h: Float, c: Float) -> Float:
        """What the readout multiplies."""
        return h

    def step(self) -> tuple[Float, Float]:
        """The next state and the update."""
        with np.errstate(all="ignore"):
            c = self.cell()
            h = self.hidden(c)
            read = self.read(h, c) @ self.p["w"]
            return self.state(h, c), self.constants["output_scale"] * (read + self.p["b"])


MISTAKES: dict[str, tuple[str, Callable[..., Any]]] = {
    "h in the place of the cell c": ("cell", lambda t: _mixed(t, t.h)),
    "a forget gate of 1 − i": ("cell", lambda t: _with_forget(t, 1 - t.squash(t.gate("i")))),
    "a forget gate of 1 − f": ("cell", lambda t: _with_forget(t, 1 - t.squash(t.gate("f")))),
    "no forget gate": ("cell", lambda t: _with_forget(t, 1.0)),
    "1 added to the forget gate's bias": (
        "cell",
        lambda t: _with_forget(t, t.squash(t.gate("f") + 1)),
    ),
    "a cell clipped to ±1": ("cell", lambda t: np.clip(_mixed(t, t.c), -1, 1)),
    "no input gate": ("cell", lambda t: t.squash(t.gate("f")) * t.c + t.candidate()),
    "a sigmoid in the place of the candidate's tanh": (
        "candidate",
        lambda t: sigmoid(t.gate("u")),
    ),
    "no tanh of the candidate": ("candidate", lambda t: t.gate("u")),
    "tanh in the place of the gates' sigmoid": ("squash", lambda _t, x: np.tanh(x)),
    "hard sigmoids, clip(x / 6 + ½)": ("squash", lambda _t, x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard sigmoids, clip(0.2 x + ½)": ("squash", lambda _t, x: np.clip(0.2 * x + 0.5, 0, 1)),
    "no tanh of the cell": ("hidden", lambda t, c: t.squash(t.gate("o")) * c),
    "the old cell in h'": ("hidden", lambda t, _c: t.squash(t.gate("o")) * np.tanh(t.c)),
    "no output gate": ("hidden", lambda _t, c: np.tanh(c)),
    "a state in the order (c, h)": ("state", lambda _t, h, c: np.concatenate([c, h], axis=1)),
    "h carried in the place of the cell c": (
        "state",
        lambda _t, h, _c: np.concatenate([h, h], axis=1),
    ),
    "a readout of the cell c'": ("read", lambda _t, _h, c: c),
    "a readout of the old h": ("read", lambda t, _h, _c: t.h),
}
"""Each mistake, the equation that it changes, and what stands there."""


def _mixed(t: _Cell, c: Float) -> Float:
    return t.squash(t.gate("f")) * c + t.squash(t.gate("i")) * t.candidate()


def _with_forget(t: _Cell, f: Any) -> Float:
    return np.asarray(f * t.c + t.squash(t.gate("i")) * t.candidate())


def lstm_mistakes(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The mistakes, each with the states and updates that it gives.

    Args:
        spec: the LSTM.
        state: (n_components, n_state).
        gradient: (n_components,).
    """
    for words, (equation, change) in MISTAKES.items():
        changed = type("_Changed", (_Cell,), {equation: change})
        yield Mistake(words, lambda changed=changed: changed(spec, state, gradient).step())
    if spec.kind == "log_lstm":
        yield from _mistaken_inputs(spec, state, gradient)
    yield from _mixed_up_weights(spec, state, gradient)


def _mistaken_inputs(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The inputs of `log_lstm`, computed wrongly."""
    x, p = spec.constants["input_scale"] * gradient, spec.constants["log_range"]
    size, sign = oracle().optimizer(spec, "float64", "cpu").inputs(gradient).T
    with np.errstate(all="ignore"):
        log = np.log(np.abs(x)) / p
    for words, s in (
        ("a logarithm that is not divided by log_range", (p * size, sign)),
        ("a logarithm to base 10", (np.maximum(log / np.log(10), -1), sign)),
        ("a logarithm that is not cut off at −1", (log, sign)),
        ("a sign without the linear part near 0", (size, np.sign(x))),
        ("the gradient in the place of its sign", (size, x)),
        ("sign and logarithm swapped", (sign, size)),
    ):
        cell = _Cell(spec, state, gradient)
        cell.s = np.stack(s, axis=1)
        yield Mistake(words, cell.step)


def _mixed_up_weights(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """Two gates with each other's weights, and all weights transposed or left out."""
    p = dict(spec.parameters)

    def step(changed: dict[str, Any]) -> Any:
        return _Cell(spec.with_parameters(p | changed), state, gradient).step()

    for a, b in combinations(GATES, 2):
        swapped = {
            f"{name}_{k}": p[f"{name}_{other}"] for name in "Wab" for k, other in ((a, b), (b, a))
        }
        words = f"{GATES[a]} and {GATES[b]} swapped"
        yield Mistake(words, lambda swapped=swapped: step(swapped))
    matrices = {f"W_{k}": p[f"W_{k}"].T for k in GATES}
    yield Mistake("all weight matrices transposed", lambda: step(matrices))
    for name, words in (("b", "the biases of all gates"), ("a", "the input weights of all gates")):
        zeros = {f"{name}_{k}": 0 * p[f"{name}_{k}"] for k in GATES}
        yield Mistake(f"{words} left out", lambda zeros=zeros: step(zeros))
