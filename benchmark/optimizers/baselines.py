"""The hand-designed optimizers: gradient descent, momentum, Nesterov, RMSProp, Adam.

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

√v has no derivative at v = 0. It is taken as 0: there g is 0 as well, and Δ depends on g through
the numerator alone.
"""

import numpy as np

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers.kinds import KINDS, Kind
from loptbench.optimizers.spec import OptimizerSpec, require_names

EPSILON = 1e-8
"""The ε of RMSProp and Adam: the default of `torch.optim` and of `optax`."""

_KINDS = {
    "sgd": Kind(lambda _: {"alpha": ()}, lambda _: 0),
    "momentum": Kind(lambda _: {"alpha": (), "beta": ()}, lambda _: 1),
    "nesterov": Kind(lambda _: {"alpha": (), "beta": ()}, lambda _: 1),
    "rmsprop": Kind(lambda _: {"alpha": (), "gamma": ()}, lambda _: 1, ("epsilon",)),
    "adam": Kind(lambda _: {"alpha": (), "beta1": (), "beta2": ()}, lambda _: 3, ("epsilon",)),
}
KINDS |= _KINDS

BASELINES: dict[str, tuple[str, ...]] = {
    name: tuple(kind.shapes(0)) for name, kind in _KINDS.items()
}
"""The hand-designed kinds, and the names of their hyperparameters."""


def baseline(kind: str, epsilon: float = EPSILON, **hyperparameters: float) -> OptimizerSpec:
    """A hand-designed optimizer with these hyperparameters.

    Args:
        kind: `sgd`, `momentum`, `nesterov`, `rmsprop` or `adam`.
        epsilon: the ε of the kinds that have one.
        hyperparameters: the kind's parameters, by name: alpha > 0, all others in [0, 1).

    Raises:
        LoptbenchError: a hyperparameter is missing, unknown, or out of its range.

    >>> baseline("adam", alpha=0.01, beta1=0.9, beta2=0.999).constants
    {'epsilon': 1e-08}
    """
    if kind not in BASELINES:
        raise UnknownNameError("baseline", kind, list(BASELINES))
    require_names("hyperparameters", kind, set(hyperparameters), set(BASELINES[kind]))
    for name, value in {**hyperparameters, "epsilon": epsilon}.items():
        positive = name in ("alpha", "epsilon")
        if not (0 < value < np.inf if positive else 0 <= value < 1):
            expected = "be above 0 and finite" if positive else "lie in [0, 1)"
            raise LoptbenchError(f"{name} of {kind!r} must {expected}, but it is {value}")
    return OptimizerSpec(
        kind,
        {name: np.asarray(hyperparameters[name], np.float64) for name in BASELINES[kind]},
        dict.fromkeys(KINDS[kind].constants, float(epsilon)),
    )


def sgd(alpha: float) -> OptimizerSpec:
    """Gradient descent with step size `alpha`.

    >>> sgd(0.1).parameters
    {'alpha': array(0.1)}
    """
    return baseline("sgd", alpha=alpha)


def momentum(alpha: float, beta: float) -> OptimizerSpec:
    """Heavy-ball momentum with step size `alpha` and decay `beta`.

    >>> momentum(0.1, 0.9).n_state
    1
    """
    return baseline("momentum", alpha=alpha, beta=beta)


def optimal_momentum(low: float, high: float) -> OptimizerSpec:
    """The optimal heavy ball for quadratics with eigenvalues in [low, high] (Polyak 1964).

    alpha = 4 / (√high + √low)²,  beta = ((√high − √low) / (√high + √low))²

    >>> optimal_momentum(1.0, 1.0).parameters
    {'alpha': array(1.), 'beta': array(0.)}
    """
    total = np.sqrt(high) + np.sqrt(low)
    return momentum(4 / total**2, float(((np.sqrt(high) - np.sqrt(low)) / total) ** 2))
