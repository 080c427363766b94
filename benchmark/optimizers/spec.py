"""An optimizer as data.

Every kind is the same thing, a dynamical system driven by the gradient of one component:

    h[k+1] = F(h[k], g[k])      the state     (n_components, n_state)
    Δ[k]   = U(h[k], g[k])      the update    (n_components,), to be *added*: x[k+1] = x[k] + Δ[k]

An `OptimizerSpec` is such an optimizer as data. An implementation computes it.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError, require_array
from loptbench.optimizers.kinds import Constants, Parameters, get_architecture, get_kind
from loptbench.optimizers.native import maker


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as data: its kind, its parameters, its constants.

    Attributes:
        kind: the kind, a key of `KINDS`.
        parameters: the kind's arrays by name, float32 or float64.
        constants: the kind's constants by name.

    Raises:
        LoptbenchError: the parameters or constants are not those of the kind; see `validate`.

    Example:
        >>> from loptbench.optimizers import OptimizerSpec
        >>> OptimizerSpec("sgd", {"alpha": np.asarray(0.1)}).n_state
        0
    """

    kind: str
    parameters: Parameters
    constants: Constants = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def n_state(self) -> int:
        """The number of state variables of each component."""
        return get_kind(self.kind).n_state(self.parameters)

    def with_parameters(self, parameters: Parameters) -> "OptimizerSpec":
        """The same optimizer with other values of its parameters."""
        return dataclasses.replace(self, parameters=dict(parameters))

    def as_torch(self, parameters: Iterable[Any]) -> Any:
        """A `torch.optim.Optimizer` of these parameters, with this optimizer's updates.

        The learned optimizers and the hand-designed ones compute each parameter by itself, so they
        train tensors of any shape. Each group of parameters has the setting `lr`, 1 unless given,
        by which updates are multiplied.

            optimizer = loptbench.load("digits-quick-torch-0").as_torch(model.parameters())

        Args:
            parameters: tensors, or dictionaries of groups of tensors, as for every optimizer of
                PyTorch. Half precision is computed in float32.

        Raises:
            NotInstalledError: PyTorch is not installed.
        """
        return maker("torch")(self, parameters)

    def as_optax(self) -> Any:
        """An `optax.GradientTransformation` with this optimizer's updates.

            transformation = loptbench.load("digits-quick-jax-0").as_optax()

        Its state has one array for each array of parameters. Half precision is computed in float32.

        Raises:
            NotInstalledError: JAX or optax is not installed.
        """
        return maker("optax")(self)

    def rounded_to(self, dtype: str) -> "OptimizerSpec":
        """The same optimizer with every parameter rounded to `dtype`, stored as float64.

        >>> from loptbench.optimizers import sgd
        >>> sgd(0.1).rounded_to("float32").parameters
        {'alpha': array(0.1)}
        """
        return self.with_parameters(
            {
                name: np.asarray(array, dtype).astype(np.float64)
                for name, array in self.parameters.items()
            }
        )


def validate(spec: OptimizerSpec) -> None:
    """Check a spec against its kind.

    Raises:
        LoptbenchError: an array or constant is missing, unknown, of the wrong shape or type, or not
            finite. The message names it, its value and the expected value.
    """
    kind = get_kind(spec.kind)
    require_names("constants", spec.kind, set(spec.constants), set(kind.constants))
    for name, value in spec.constants.items():
        if not np.isfinite(value):
            raise LoptbenchError(f"constant {name!r} of {spec.kind!r} must be finite, not {value}")
    require_names("parameters", spec.kind, set(spec.parameters), set(kind.shapes(1)))
    for name, shape in kind.shapes_of(spec.parameters).items():
        array = spec.parameters[name]
        require_array(array, f"array {name!r} of {spec.kind!r}")
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


def require_names(group: str, kind: str, names: set[str], expected: set[str]) -> None:
    """Refuse names that are not exactly the expected ones.

    Args:
        group: the group of names in the message, such as `parameters`.
        kind: the optimizer kind.
        names: the names that were given.
        expected: the names that the kind has.
    """
    if names == expected:
        return
    missing, extra = sorted(expected - names), sorted(names - expected)
    problems = [f"missing {', '.join(missing)}"] if missing else []
    if extra:
        problems.append(f"extra {', '.join(extra)}")
    raise LoptbenchError(
        f"the {group} of {kind!r} are {', '.join(sorted(expected)) or 'none'}; "
        f"found: {' and '.join(problems)}"
    )


def shuffled(spec: OptimizerSpec, seed: int) -> OptimizerSpec:
    """The optimizer with the entries of each array in a random order: a control.

    Every array keeps the distribution of its values, but not their arrangement.

    >>> from loptbench.optimizers import fresh_gru
    >>> weights, control = fresh_gru(4, seed=0), shuffled(fresh_gru(4, seed=0), seed=1)
    >>> weights.parameters["W_z"].sum().round(6) == control.parameters["W_z"].sum().round(6)
    np.True_
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([5, seed], dtype=np.uint64)))
    return spec.with_parameters(
        {
            name: rng.permutation(array.reshape(-1)).reshape(array.shape)
            for name, array in sorted(spec.parameters.items())
        }
    )


def fresh(architecture: str, n_units: int, seed: int, **constants: float) -> OptimizerSpec:
    """A learned optimizer before meta-training.

    >>> fresh("gru", 8, seed=0).parameters["W_z"].shape
    (8, 8)

    Args:
        architecture: its architecture.
        n_units: the number of units.
        seed: the seed of the weights.
        constants: constants that differ from the architecture's.
    """
    chosen = get_architecture(architecture)
    rng = np.random.Generator(np.random.Philox(key=np.array([0, seed], dtype=np.uint64)))
    parameters = chosen.fresh(chosen.shapes(n_units), rng)
    return OptimizerSpec(architecture, dict(parameters), {**chosen.constants, **constants})


def random(architecture: str, n_units: int, seed: int, **constants: float) -> OptimizerSpec:
    """A learned optimizer in which no array is zero, so that a test notices any missing term.

    >>> bool(random("gru", 8, seed=0).parameters["h0"].any())
    True

    Args:
        architecture: its architecture.
        n_units: the number of units.
        seed: the seed of the weights.
        constants: constants that differ from the architecture's.
    """
    chosen = get_architecture(architecture)
    rng = np.random.Generator(np.random.Philox(key=np.array([1, seed], dtype=np.uint64)))
    parameters = chosen.random(chosen.shapes(n_units), rng)
    return OptimizerSpec(architecture, dict(parameters), {**chosen.constants, **constants})
