"""What a call may depend on: nothing but what it is handed."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from loptbench.conformance.subject import Subject, SubjectOptimizer, SubjectProblems, Unchanged
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Level
from loptbench.tasks.base import ProblemBatch


def require_pure(
    what: str, call: Callable[[], tuple[Any, ...]], disturb: Callable[[], object]
) -> None:
    """Hold a call to the same bits each time, whatever was called in between.

    Args:
        what: the call's name, for messages.
        call: the call.
        disturb: other calls to the same implementation, with other arguments.
    """
    first = call()
    before = copy.deepcopy(first)
    disturb()
    for kept, now in zip(before, first, strict=True):
        if not np.array_equal(kept, now, equal_nan=True):
            raise CheckFailedError(f"the arrays that {what} returned were changed by a later call")
    for kept, again in zip(before, call(), strict=True):
        if not np.array_equal(kept, again, equal_nan=True):
            largest = np.max(np.abs(np.asarray(kept, float) - np.asarray(again, float)))
            raise CheckFailedError(
                f"{what} returned something else for the same arguments: {largest:.1e} apart; "
                "it must remember nothing and draw nothing"
            )


def other_spec(spec: OptimizerSpec) -> OptimizerSpec:
    """An optimizer of the same kind and size with other parameters and constants."""
    return dataclasses.replace(
        spec,
        parameters={name: 0.5 * array for name, array in spec.parameters.items()},
        constants={name: 0.5 * value for name, value in spec.constants.items()},
    )


SHORT = 12
"""The length of short runs. Checks share it: a framework that compiles does so once for each length
and shape, and that is most of the time they take."""


class Variation(NamedTuple):
    """A run that differs from another in one thing, of the same shapes.

    Attributes:
        spec: the optimizer.
        batch: the problems.
        x0: where the run starts.
    """

    spec: OptimizerSpec
    batch: ProblemBatch
    x0: Array


def variations(subject: Subject) -> list[Variation]:
    """The case itself, then others that a cache with too small a key takes for it."""
    spec, batch = subject.spec, subject.batch
    x0 = subject.cast(batch.initial_parameters)
    last = list(spec.parameters)[-1]
    changed = dict(spec.parameters) | {last: np.asarray(0.5 * spec.parameters[last])}
    found = [
        Variation(spec, batch, x0),
        Variation(other_spec(spec), batch, x0),
        Variation(spec.with_parameters(changed), batch, x0),
        Variation(spec, batch.part([*range(1, batch.n_problems), 0]), x0),
        Variation(spec, batch, subject.cast(-0.5 * x0)),
    ]
    if spec.constants:
        scaled = {name: 2 * value for name, value in spec.constants.items()}
        found.append(Variation(dataclasses.replace(spec, constants=scaled), batch, x0))
    return [
        Variation(v.spec.rounded_to(subject.dtype), v.batch.rounded_to(subject.dtype), v.x0)
        for v in found
    ]


Handles = tuple[SubjectOptimizer, SubjectProblems, Array]


def interleaved(
    subject: Subject,
    what: str,
    most: Level,
    call: Callable[[Handles], tuple[Any, ...] | Mapping[str, Any]],
) -> list[tuple[Variation, Any]]:
    """Make the handles of all variations, call them in turn, and hold the first to its answer.

    Args:
        subject: what is tested.
        what: the call's name, for messages.
        most: the highest level that the calls in between may come from.
        call: makes the call on an optimizer, problems and a start.

    Returns: each variation with what the call gave for it.
    """
    varied = variations(subject)
    with Unchanged(what, *varied):
        handles: list[Handles] = [
            (subject.optimizer(v.spec), subject.problems(v.batch), v.x0) for v in varied
        ]
        answers: list[Any] = []

        def disturb() -> None:
            answers.extend(call(handle) for handle in handles[1:])
            optimizer, problems, x0 = handles[0]
            _, gradient = problems.loss_and_gradient(3 * x0, 1)
            optimizer.step(optimizer.initial_state(x0.size), gradient.reshape(-1))
            subject.everything(most, SHORT, *handles[0])

        require_pure(what, lambda: flat(call(handles[0])), disturb)
        answers.insert(0, call(handles[0]))
    return list(zip(varied, answers, strict=True))


def flat(answer: tuple[Any, ...] | Mapping[str, Any]) -> tuple[Any, ...]:
    """All arrays of an answer."""
    arrays: list[Any] = []
    for value in answer.values() if isinstance(answer, Mapping) else answer:
        arrays += flat(value) if isinstance(value, Mapping | tuple) else [value]
    return tuple(arrays)
