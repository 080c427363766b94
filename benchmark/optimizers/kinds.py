"""The optimizer kinds: their parameters and the equations that every implementation follows.

Every kind is the same thing, a dynamical system driven by the gradient of one component:

    h[k+1] = F(h[k], g[k])      the state     (n_components, n_state)
    Δ[k]   = U(h[k], g[k])      the update    (n_components,), to be *added*: x[k+1] = x[k] + Δ[k]

An `OptimizerSpec` is such an optimizer as data. What computes it is an implementation.

`sgd`, parameters `alpha`; n_state = 0:

    Δ = −alpha · g

`momentum` (heavy ball, as `torch.optim.SGD`), parameters `alpha`, `beta`; n_state = 1:

    h' = beta · h + g
    Δ  = −alpha · h'

`nesterov` (as `torch.optim.SGD(nesterov=True)`), parameters `alpha`, `beta`; n_state = 1:

    h' = beta · h + g
    Δ  = −alpha · (g + beta · h')

`rmsprop` (as `torch.optim.RMSprop`: not centred, ε outside the root), parameters `alpha`, `gamma`;
constant `epsilon`; n_state = 1, v = h ≥ 0:

    v' = gamma · v + (1 − gamma) · g²
    Δ  = −alpha · g / (√v' + epsilon)

`adam` (Kingma and Ba 2015, algorithm 1; as `torch.optim.Adam`), parameters `alpha`, `beta1`,
`beta2`; constant `epsilon`; n_state = 3, h = (m, v, t) with v ≥ 0 and t = 0, 1, 2, … steps taken:

    m' = beta1 · m + (1 − beta1) · g
    v' = beta2 · v + (1 − beta2) · g²
    t' = t + 1
    Δ  = −alpha · (m' / (1 − beta1^t')) / (√(v' / (1 − beta2^t')) + epsilon)

The derivative of √v at v = 0, where it has none, is taken as 0 throughout: there g is 0 as well,
and Δ depends on g through the numerator alone.

`composed`, one optimizer with every mechanism that is known in closed form: K heavy balls side by
side (aggregated momentum, Lucas et al. 2019), a hard clip, and a schedule; parameters `alpha`,
`betas` (K,), `clip`, `start`, `decay`; n_state = K + 1, h = (m_1, …, m_K, ρ), ρ_0 = start:

    ĝ   = min(max(g, −clip), clip)
    m_i' = betas_i · m_i + ĝ
    Δ   = −alpha · ρ · (1/K) Σ m_i'
    ρ'  = 1 + decay · (ρ − 1)

`gru`, the learned optimizer (`renn`'s convention: the reset gate acts *before* the matrix product),
parameters W_z, W_r, W_c (n_state, n_state); a_z, a_r, a_c, b_z, b_r, b_c, w, h0 (n_state,); b ();
constants input_scale, output_scale. A matrix's first axis is the unit that it feeds:

    s  = input_scale · g
    z  = sigmoid(W_z h + a_z s + b_z)           update gate
    r  = sigmoid(W_r h + a_r s + b_r)           reset gate
    c  = tanh(W_c (r ∘ h) + a_c s + b_c)        candidate
    h' = z ∘ h + (1 − z) ∘ c
    Δ  = output_scale · (w · h' + b)
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError, UnknownNameError

Parameters = Mapping[str, NDArray[np.floating]]
"""Named arrays: what is trained, or tuned."""

Constants = Mapping[str, float]
"""Named numbers that are chosen once and never trained."""


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as data: its kind, its parameters, its constants.

    Attributes:
        kind: a key of `KINDS`.
        parameters: named arrays, shaped as the kind says.
        constants: named numbers, those that the kind says.
    """

    kind: str
    parameters: Parameters
    constants: Constants = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def n_state(self) -> int:
        """How many state variables each component has."""
        return get_kind(self.kind).n_state(self.parameters)

    def with_parameters(self, parameters: Parameters) -> "OptimizerSpec":
        """The same optimizer with other values of its parameters."""
        return dataclasses.replace(self, parameters=dict(parameters))

    def rounded_to(self, dtype: str) -> "OptimizerSpec":
        """The same optimizer with every parameter rounded to `dtype`, stored as float64."""
        return self.with_parameters(
            {
                name: np.asarray(array, dtype).astype(np.float64)
                for name, array in self.parameters.items()
            }
        )


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a spec of this kind must hold.

    Attributes:
        shapes: the shape of every parameter, given n_state.
        n_state: n_state, given the parameters.
        constants: the names of the constants.
    """

    shapes: Callable[[int], dict[str, tuple[int, ...]]]
    n_state: Callable[[Parameters], int]
    constants: tuple[str, ...] = ()


def _gru_shapes(n: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for gate in "zrc":
        shapes |= {f"W_{gate}": (n, n), f"a_{gate}": (n,), f"b_{gate}": (n,)}
    return shapes | {"w": (n,), "b": (), "h0": (n,)}


def _composed_shapes(n: int) -> dict[str, tuple[int, ...]]:
    return {"betas": (n - 1,)} | dict.fromkeys(("alpha", "clip", "start", "decay"), ())


KINDS: dict[str, Kind] = {
    "sgd": Kind(lambda _: {"alpha": ()}, lambda _: 0),
    "momentum": Kind(lambda _: {"alpha": (), "beta": ()}, lambda _: 1),
    "nesterov": Kind(lambda _: {"alpha": (), "beta": ()}, lambda _: 1),
    "rmsprop": Kind(lambda _: {"alpha": (), "gamma": ()}, lambda _: 1, ("epsilon",)),
    "adam": Kind(lambda _: {"alpha": (), "beta1": (), "beta2": ()}, lambda _: 3, ("epsilon",)),
    "composed": Kind(_composed_shapes, lambda p: int(p["betas"].size) + 1),
    "gru": Kind(_gru_shapes, lambda p: int(p["h0"].size), ("input_scale", "output_scale")),
}


BASELINES: dict[str, tuple[str, ...]] = {
    kind: tuple(KINDS[kind].shapes(0))
    for kind in ("sgd", "momentum", "nesterov", "rmsprop", "adam")
}
"""The hand-designed kinds, and the names of their hyperparameters."""


def get_kind(name: str) -> Kind:
    """The optimizer kind of that name, or an `UnknownNameError` that lists those there are."""
    if name not in KINDS:
        raise UnknownNameError("optimizer kind", name, list(KINDS))
    return KINDS[name]


def validate(spec: OptimizerSpec) -> None:
    """Hold a spec to its kind.

    Raises:
        LoptbenchError: an array or constant is missing, extra, misshapen, of another type or not
            finite; the message names it, what was found and what was wanted.
    """
    kind = get_kind(spec.kind)
    _same_names("constants", spec.kind, set(spec.constants), set(kind.constants))
    for name, value in spec.constants.items():
        if not np.isfinite(value):
            raise LoptbenchError(f"constant {name!r} of {spec.kind!r} must be finite, not {value}")
    _same_names("parameters", spec.kind, set(spec.parameters), set(kind.shapes(1)))
    for name, shape in kind.shapes(kind.n_state(spec.parameters)).items():
        array = spec.parameters[name]
        if array.dtype not in (np.float32, np.float64):
            raise LoptbenchError(
                f"array {name!r} of {spec.kind!r} must be float32 or float64, not {array.dtype}"
            )
        if array.shape != shape:
            raise LoptbenchError(
                f"array {name!r} of {spec.kind!r} must have shape {shape}, but has {array.shape}"
            )
        if not np.all(np.isfinite(array)):
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise LoptbenchError(
                f"array {name!r} of {spec.kind!r} must be finite, but is {array[where]} at {where}"
            )


def _same_names(what: str, kind: str, found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        missing, extra = sorted(wanted - found), sorted(found - wanted)
        said = [f"missing {', '.join(missing)}"] * bool(missing)
        said += [f"extra {', '.join(extra)}"] * bool(extra)
        raise LoptbenchError(
            f"the {what} of {kind!r} are {', '.join(sorted(wanted)) or 'none'}; "
            f"found: {' and '.join(said)}"
        )


EPSILON = 1e-8
"""The ε of RMSProp and Adam: the default of `torch.optim` and of `optax`."""


def baseline(kind: str, epsilon: float = EPSILON, **hyperparameters: float) -> OptimizerSpec:
    """A hand-designed optimizer with these hyperparameters, held to their ranges.

    Args:
        kind: `sgd`, `momentum`, `nesterov`, `rmsprop` or `adam`.
        epsilon: the ε of the kinds that have one.
        hyperparameters: the kind's parameters, by name: alpha > 0, all others in [0, 1).

    Raises:
        LoptbenchError: one is missing, unknown, or out of its range.
    """
    if kind not in BASELINES:
        raise UnknownNameError("baseline", kind, list(BASELINES))
    _same_names("hyperparameters", kind, set(hyperparameters), set(BASELINES[kind]))
    for name, value in {**hyperparameters, "epsilon": epsilon}.items():
        positive = name in ("alpha", "epsilon")
        if not (0 < value < np.inf if positive else 0 <= value < 1):
            wanted = "be above 0 and finite" if positive else "lie in [0, 1)"
            raise LoptbenchError(f"{name} of {kind!r} must {wanted}, but it is {value}")
    return OptimizerSpec(
        kind,
        {name: np.asarray(hyperparameters[name], np.float64) for name in BASELINES[kind]},
        dict.fromkeys(KINDS[kind].constants, float(epsilon)),
    )


def sgd(alpha: float) -> OptimizerSpec:
    """Gradient descent with step size `alpha`."""
    return baseline("sgd", alpha=alpha)


def momentum(alpha: float, beta: float) -> OptimizerSpec:
    """Heavy-ball momentum with step size `alpha` and decay `beta`."""
    return baseline("momentum", alpha=alpha, beta=beta)


def optimal_momentum(low: float, high: float) -> OptimizerSpec:
    """Heavy ball at its theoretical optimum for quadratics with eigenvalues in [low, high].

    α* = 4 / (√high + √low)²,  β* = ((√high − √low) / (√high + √low))²  (Polyak 1964).
    """
    total = np.sqrt(high) + np.sqrt(low)
    return momentum(4 / total**2, float(((np.sqrt(high) - np.sqrt(low)) / total) ** 2))


NO_CLIP = 1e30
"""A clip that no gradient reaches, finite in float32."""


def composed(
    alpha: float,
    betas: Sequence[float] = (0.0,),
    clip: float = NO_CLIP,
    start: float = 1.0,
    decay: float = 0.0,
) -> OptimizerSpec:
    """Aggregated momentum, a hard clip and a schedule in one; each is absent by default."""
    values = {"alpha": alpha, "betas": betas, "clip": clip, "start": start, "decay": decay}
    return OptimizerSpec("composed", {k: np.asarray(v, np.float64) for k, v in values.items()})


def gru(
    parameters: Parameters, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """The learned optimizer with these weights."""
    return OptimizerSpec(
        "gru", dict(parameters), {"input_scale": input_scale, "output_scale": output_scale}
    )


def fresh_gru(
    n_state: int, seed: int, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """A GRU before meta-training: weights N(0, 1/fan_in); biases, `h0` and readout zero.

    The fan-in of every weight is n_state + 1: n_state units and one gradient feed each gate.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([0, seed], dtype=np.uint64)))
    parameters = {name: np.zeros(shape) for name, shape in _gru_shapes(n_state).items()}
    for gate in "zrc":
        for name in (f"W_{gate}", f"a_{gate}"):
            shape = parameters[name].shape
            parameters[name] = rng.standard_normal(shape) / np.sqrt(n_state + 1)
    return gru(parameters, input_scale, output_scale)


def shuffled(spec: OptimizerSpec, seed: int) -> OptimizerSpec:
    """The optimizer with the entries of each of its arrays in another, random, order.

    Every array keeps its values and their distribution; what they were trained to do is gone.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([5, seed], dtype=np.uint64)))
    return spec.with_parameters(
        {
            name: rng.permutation(array.reshape(-1)).reshape(array.shape)
            for name, array in sorted(spec.parameters.items())
        }
    )


def random_gru(
    n_state: int, seed: int, input_scale: float = 1.0, output_scale: float = 1.0
) -> OptimizerSpec:
    """A GRU in which no array is zero, so that no term of its equations can be left out unseen."""
    rng = np.random.Generator(np.random.Philox(key=np.array([1, seed], dtype=np.uint64)))
    parameters = {
        name: rng.standard_normal(shape) / np.sqrt(n_state + 1 if name[0] in "Waw" else 1)
        for name, shape in _gru_shapes(n_state).items()
    }
    return gru(parameters, input_scale, output_scale)
