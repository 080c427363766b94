"""Known mistakes of one step of an optimizer."""

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from loptbench.conformance.hints.baselines import baseline_mistakes
from loptbench.conformance.hints.gru import gru_mistakes
from loptbench.conformance.hints.lstm import lstm_mistakes
from loptbench.conformance.hints.matching import Float, Mistake, matching
from loptbench.discovery import oracle
from loptbench.optimizers import ARCHITECTURES, EPSILON, OptimizerSpec

OF_KIND = {"gru": gru_mistakes, "lstm": lstm_mistakes, "log_lstm": lstm_mistakes}
"""The mistakes of the learned optimizers."""


def explain_step(
    spec: OptimizerSpec,
    state: Float,
    gradient: Float,
    actual: tuple[Any, Any],
    limits: tuple[float, float],
) -> str:
    """The hint for a step that is not the oracle's; empty if no known mistake gives its result.

    Args:
        spec: the optimizer.
        state: the states before the step, (n_components, n_state).
        gradient: the gradients, (n_components,).
        actual: the new states and the updates that the implementation returned.
        limits: the bounds of their scaled errors.
    """
    reference = oracle().optimizer(spec, "float64", "cpu")
    with np.errstate(all="ignore"):
        scales = reference.rounding_scale(state, gradient)
        expected = reference.step(state, gradient)
    mistakes = step_mistakes(spec, state, gradient)
    return matching(mistakes, actual, expected, scales, limits)


def step_mistakes(spec: OptimizerSpec, state: Float, gradient: Float) -> Iterator[Mistake]:
    """The mistakes of the kind's equations, then those of its parameters and constants."""
    yield from OF_KIND.get(spec.kind, baseline_mistakes)(spec, state, gradient)

    def step(changed: OptimizerSpec, h: Float = state, g: Float = gradient) -> Any:
        return oracle().optimizer(changed, "float64", "cpu").step(h, g)

    for words, changed in changed_specs(spec):
        yield Mistake(words, lambda changed=changed: step(changed))
    new, update = step(spec)
    yield Mistake("an update with the other sign", lambda: (new, -update))
    yield Mistake("a gradient with the other sign", lambda: step(spec, g=-gradient))
    yield Mistake("a state that is not updated", lambda: (state, update))
    yield Mistake("an update of zero", lambda: (new, 0 * update))


def changed_specs(spec: OptimizerSpec) -> Iterator[tuple[str, OptimizerSpec]]:
    """The optimizer with one parameter or constant mistaken, and the mistake in words."""
    learned = ARCHITECTURES.get(spec.kind)
    defaults = learned.constants if learned else {}
    for name, value in spec.constants.items():
        neutral = 0.0 if name == "epsilon" else 1.0
        default = EPSILON if name == "epsilon" else defaults.get(name, value)
        for words, mistaken in (
            (f"{name} left out", neutral),
            (f"{name} at its default {default:g}", value if default == neutral else default),
            (f"{name} divided by instead of multiplied with", 1 / value if value else value),
            (f"the square of {name}", value**2),
        ):
            constants = dict(spec.constants) | {name: mistaken}
            yield words, dataclasses.replace(spec, constants=constants)

    parameters = dict(spec.parameters)

    def with_values(**values: Any) -> OptimizerSpec:
        changed = {name: np.asarray(value, np.float64) for name, value in values.items()}
        return spec.with_parameters(parameters | changed)

    for name, array in parameters.items():
        if array.ndim == 2 and array.shape[0] == array.shape[1] > 1:
            yield f"{name} transposed", with_values(**{name: array.T})
        if array.ndim == 1 and array.size > 1:
            yield f"{name} in reverse order", with_values(**{name: array[::-1]})
        if array.ndim == 0:
            yield f"{name} of 1", with_values(**{name: 1.0})
            yield f"1 − {name} in the place of {name}", with_values(**{name: 1 - array})
            yield f"the square of {name}", with_values(**{name: array**2})
        yield f"{name} left out", with_values(**{name: 0 * array})
        yield f"{name} with the other sign", with_values(**{name: -array})
    for a, b in combinations(parameters, 2):
        if parameters[a].shape == parameters[b].shape:
            swapped = with_values(**{a: parameters[b], b: parameters[a]})
            yield f"{a} and {b} swapped", swapped
