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
from loptbench.optimizers.schedules import SCHEDULES, Scheduled, with_schedule
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


SCHEDULED = {
    f"{schedule}_{kind}": Scheduled(schedule, kind) for schedule in SCHEDULES for kind in BASELINES
}
"""The hand-designed kinds with a schedule, such as `cosine_adam`."""

KINDS |= {name: with_schedule(_KINDS[parts.kind]) for name, parts in SCHEDULED.items()}

HYPERPARAMETERS: dict[str, tuple[str, ...]] = {
    name: tuple(KINDS[name].shapes(0)) for name in (*BASELINES, *SCHEDULED)
}
"""The names of the hyperparameters of every kind that is tuned."""


def baseline(
    kind: str, epsilon: float = EPSILON, n_steps: float | None = None, **hyperparameters: float
) -> OptimizerSpec:
    """A hand-designed optimizer with these hyperparameters.

    Args:
        kind: `sgd`, `momentum`, `nesterov`, `rmsprop` or `adam`, or one of these with a schedule,
            such as `cosine_adam`.
        epsilon: the ε of the kinds that have one.
        n_steps: of kinds with a schedule, the number of steps over which the learning rate falls.
        hyperparameters: the kind's parameters, by name: alpha > 0, 0 < final ≤ 1, all others in
            [0, 1).

    Raises:
        LoptbenchError: a hyperparameter is missing, unknown, or out of its range.

    >>> baseline("adam", alpha=0.01, beta1=0.9, beta2=0.999).constants
    {'epsilon': 1e-08}
    >>> baseline("cosine_sgd", n_steps=200, alpha=0.1, final=0.01).constants
    {'n_steps': 200.0}
    """
    if kind not in HYPERPARAMETERS:
        raise UnknownNameError("baseline", kind, list(HYPERPARAMETERS))
    names, constants = HYPERPARAMETERS[kind], KINDS[kind].constants
    require_names("hyperparameters", kind, set(hyperparameters), set(names))
    if n_steps is None and kind in SCHEDULED:
        raise LoptbenchError(f"{kind!r} needs n_steps, the number of steps of a run")
    given = {"epsilon": epsilon, "n_steps": n_steps if n_steps is not None else 1.0}
    for name, value in {**hyperparameters, **given}.items():
        if name in ("alpha", "epsilon", "n_steps"):
            holds, expected = 0 < value < np.inf, "be above 0 and finite"
        elif name == "final":
            holds, expected = 0 < value <= 1, "lie in (0, 1]"
        else:
            holds, expected = 0 <= value < 1, "lie in [0, 1)"
        if not holds:
            raise LoptbenchError(f"{name} of {kind!r} must {expected}, but it is {value}")
    return OptimizerSpec(
        kind,
        {name: np.asarray(hyperparameters[name], np.float64) for name in names},
        {name: float(given[name]) for name in constants},
    )


def unscheduled(spec: OptimizerSpec) -> OptimizerSpec:
    """The optimizer that one with a schedule is composed of.

    >>> unscheduled(baseline("cosine_sgd", n_steps=200, alpha=0.1, final=0.01)).parameters
    {'alpha': array(0.1)}
    """
    kind = SCHEDULED[spec.kind].kind
    return OptimizerSpec(
        kind,
        {name: spec.parameters[name] for name in BASELINES[kind]},
        {name: spec.constants[name] for name in KINDS[kind].constants},
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
