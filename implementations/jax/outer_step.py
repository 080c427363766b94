"""The outer step after the meta-gradient: penalty, clipping and Adam, with optax.

`loptbench.protocol.MetaTrains.outer_step` has the equations. The memory of an outer state holds the
leaves of optax's state in their order, as `000`, `001`, ….
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from loptbench.implementations.jax.arrays import Placement, to_numpy
from loptbench.implementations.jax.compiled import compiled
from loptbench.implementations.jax.optimizers import Parameters
from loptbench.protocol import OuterSettings, OuterState

Number = Array | NDArray[Any]


class Settings(NamedTuple):
    """The settings of an outer step as numbers: one program serves all of them.

    `OuterSettings` describes the fields. `by_norm` is 1 for clipping by the global norm, else 0.
    """

    learning_rate: Number
    decay: Number
    decay_steps: Number
    beta1: Number
    beta2: Number
    epsilon: Number
    clip: Number
    by_norm: Number
    penalty: Number


def settings(config: OuterSettings) -> Settings:
    """The settings of an outer step in its dtype."""
    values = {name: getattr(config, name, None) for name in Settings._fields}
    values["by_norm"] = config.clipping == "global-norm"
    return Settings(**{name: np.asarray(value, config.dtype) for name, value in values.items()})


def outer_optimizer(with_settings: Settings) -> optax.GradientTransformation:
    """Clipping and Adam."""

    def learning_rate(t: Array) -> Array:
        # optax.exponential_decay computes this in float32, whatever the parameters are in.
        s = with_settings
        return jnp.multiply(s.learning_rate, s.decay ** (t.astype(s.decay.dtype) / s.decay_steps))

    each, whole = optax.clip(with_settings.clip), optax.clip_by_global_norm(with_settings.clip)

    def clip(gradient: Any, _: Any = None) -> Any:
        elementwise, by_norm = (rule.update(gradient, rule.init(None))[0] for rule in (each, whole))
        return jax.tree.map(partial(jnp.where, with_settings.by_norm), by_norm, elementwise)

    s = with_settings
    return optax.chain(
        optax.stateless(clip), optax.adam(learning_rate, s.beta1, s.beta2, s.epsilon)
    )


@compiled()
def outer_update(
    with_settings: Settings, p: Parameters, memory: optax.OptState, gradient: Parameters
) -> tuple[Parameters, optax.OptState, Array]:
    """The parameters and Adam's memory after one update; whether the gradient was finite."""
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in gradient.values()]))
    norm = jnp.sqrt(sum(jnp.sum(array**2) for array in p.values()))
    shrinkage = with_settings.penalty / jnp.where(norm > 0, norm, 1)
    gradient = jax.tree.map(lambda g, array: g + shrinkage * array, gradient, p)
    updates, memory = outer_optimizer(with_settings).update(gradient, memory)
    return optax.apply_updates(p, updates), memory, finite


@compiled()
def outer_updates(
    with_settings: Settings, p: Parameters, memory: optax.OptState, gradient: Parameters
) -> tuple[Parameters, optax.OptState, Array]:
    """`outer_update` of several seeds; every array has a leading axis for the seed."""
    each: Callable[..., tuple[Parameters, optax.OptState, Array]] = jax.vmap(
        partial(outer_update, with_settings)
    )
    return each(p, memory, gradient)


def to_jax(outer: OuterState, placement: Placement) -> tuple[Parameters, optax.OptState]:
    """The parameters, and optax's state with the leaves that are stored in the memory."""
    leaves = placement.put_all({name: outer.memory[name] for name in sorted(outer.memory)})
    memory = jax.tree.unflatten(_structure(tuple(sorted(outer.parameters))), leaves.values())
    return placement.put_all(outer.parameters), memory


@cache
def _structure(names: tuple[str, ...]) -> Any:
    """The structure of optax's state for parameters of these names, whatever the settings are."""
    optimizer = outer_optimizer(Settings(*[jnp.ones(())] * len(Settings._fields)))
    return jax.tree.structure(optimizer.init(dict.fromkeys(names, jnp.zeros(()))))


def to_outer_state(parameters: Mapping[str, Array], memory: optax.OptState) -> OuterState:
    """The outer state in NumPy; the inverse of `to_jax`."""
    leaves = jax.tree.leaves(memory)
    return OuterState(
        to_numpy(parameters), {f"{i:03d}": np.array(leaf) for i, leaf in enumerate(leaves)}
    )


def stack(outers: Sequence[OuterState]) -> OuterState:
    """Several outer states as one, with a leading axis for the seed.

    In NumPy, because JAX takes as long for this as a GPU for the rest of an outer step.
    """
    first = outers[0]
    return OuterState(
        {name: np.stack([outer.parameters[name] for outer in outers]) for name in first.parameters},
        {name: np.stack([outer.memory[name] for outer in outers]) for name in first.memory},
    )


def unstack(stacked: OuterState) -> list[OuterState]:
    """The outer states that `stack` joined."""
    n = len(next(iter(stacked.parameters.values())))
    return [
        OuterState(*({name: array[i, ...] for name, array in part.items()} for part in stacked))
        for i in range(n)
    ]
