"""The experiment behind a deviation, in words: what to do to see it again, and what it looks like.

Every message has the form `PLACE: QUANTITY = VALUE, but should be VALUE; EXPERIMENT; HINT`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loptbench.agreement.comparison import Comparison

MOST_NUMBERS = 8
"""Longer vectors are cut off in messages."""


def vector(values: Any) -> str:
    """A vector in a message.

    >>> vector(np.array([0.5, -1.0]))
    '(0.5, -1)'
    """
    numbers = np.ravel(values)
    shown = [f"{number:.9g}" for number in numbers[:MOST_NUMBERS].tolist()]
    if numbers.size > MOST_NUMBERS:
        shown.append(f"… {numbers.size} in all")
    return f"({', '.join(shown)})"


def step_experiment(state: Any, gradient: Any, component: int) -> str:
    """The state and gradient from which a component took its step.

    >>> step_experiment(np.zeros((3, 0)), np.ones(3), 1)
    'from gradient 1'
    """
    given = f"gradient {float(gradient[component]):.17g}"
    if np.shape(state)[1]:
        return f"from state {vector(state[component])} and {given}"
    return f"from {given}"


def explained(
    comparisons: Sequence[Comparison],
    experiment: Callable[[int], str] | str,
    hint: Callable[..., str] = str,
    *arguments: Any,
) -> list[Comparison]:
    """The comparisons, with the experiment and a hint in the message of each that failed.

    Args:
        comparisons: the comparisons of one experiment.
        experiment: the experiment, or a function of an index of the first axis that describes it.
        hint: looks for a known mistake; called at most once, and only after a failure.
        arguments: the arguments of `hint`.
    """
    if all(comparison.ok for comparison in comparisons):
        return list(comparisons)
    found = hint(*arguments)

    def in_words(comparison: Comparison) -> Comparison:
        if comparison.ok:
            return comparison
        at = comparison.first_exceeded
        words = experiment if isinstance(experiment, str) else experiment(at)
        parts = [comparison.deviation, words, found]
        return dataclasses.replace(comparison, deviation="; ".join(filter(None, parts)))

    return [in_words(comparison) for comparison in comparisons]
