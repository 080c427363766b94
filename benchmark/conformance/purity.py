"""Checks of purity: a call depends on its arguments only."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from loptbench.conformance.subject import Subject, SubjectOptimizer, SubjectProblems, Unchanged
from loptbench.conformance.verdicts import CheckFailedError
from loptbench.global_state import other_seeds, other_torch_dtype, other_value
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import Array, Level
from loptbench.tasks.base import ProblemBatch


def require_pure(
    call_name: str,
    call: Callable[[], tuple[Any, ...]],
    disturb: Callable[[], object],
    between: str = "other calls",
) -> None:
    """Require the same bits from a call each time, whatever is called in between.

    Args:
        call_name: name of the call in messages.
        call: makes the call.
        disturb: makes other calls to the same implementation, with other arguments.
        between: what `disturb` does, in messages.

    Raises:
        CheckFailedError: a later call changed the arrays that were returned, or the second result.
    """
    first = call()
    before = copy.deepcopy(first)
    largest = _largest_difference(before, call())
    if largest is not None:
        raise CheckFailedError(
            f"{call_name} returned something else for the same arguments, at once and with "
            f"nothing in between: {largest:.1e} apart; it is not deterministic: it draws, counts "
            "its calls, reads memory that it did not set, or adds up in an order that varies"
        )
    disturb()
    if _largest_difference(before, first) is not None:
        raise CheckFailedError(f"the arrays that {call_name} returned were changed by a later call")
    largest = _largest_difference(before, call())
    if largest is not None:
        raise CheckFailedError(
            f"{call_name} returned something else for the same arguments after {between}: "
            f"{largest:.1e} apart; it must remember nothing and draw nothing"
        )


def _largest_difference(one: tuple[Any, ...], other: tuple[Any, ...]) -> float | None:
    """The largest difference of two results; None if they are equal to the bit."""
    pairs = list(zip(one, other, strict=True))
    if all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
        return None
    if any(np.shape(a) != np.shape(b) for a, b in pairs):
        return np.inf
    with np.errstate(all="ignore"):
        differences = [np.abs(np.asarray(a, float) - np.asarray(b, float)) for a, b in pairs]
    finite = [np.nan_to_num(d, nan=np.inf, posinf=np.inf).max(initial=0.0) for d in differences]
    return float(max(finite, default=0.0))


def require_independent_of_settings(call_name: str, call: Callable[[], tuple[Any, ...]]) -> None:
    """Require the same bits from a call under other settings of the whole process.

    A call may refuse to work under them: an exception is no wrong number.

    Args:
        call_name: name of the call in messages.
        call: makes the call.

    Raises:
        CheckFailedError: the result depends on a seed, or on torch's default dtype or grad mode.
    """
    expected = copy.deepcopy(call())
    for words, setting in (
        ("another seed of random, numpy.random and torch", other_seeds(1)),
        ("another default dtype of torch", other_torch_dtype()),
        ("torch's grad mode switched off", other_value("torch's grad mode", False)),
    ):
        with setting:
            try:
                result = call()
            except Exception:
                continue
        largest = _largest_difference(expected, result)
        if largest is not None:
            raise CheckFailedError(
                f"{call_name} returned something else under {words}: {largest:.1e} apart; it must "
                "not depend on settings of the whole process"
            )


def other_spec(spec: OptimizerSpec) -> OptimizerSpec:
    """An optimizer of the same kind and size with other parameters and constants."""
    return dataclasses.replace(
        spec,
        parameters={name: 0.5 * array for name, array in spec.parameters.items()},
        constants={name: 0.5 * value for name, value in spec.constants.items()},
    )


SHORT_RUN = 12
"""Inner steps of short runs. All checks share this length, because a framework compiles once for
each length and shape, and compiling takes most of the time."""


class Variation(NamedTuple):
    """A run of the same shapes as the case's that differs from it in one respect.

    Attributes:
        words: what it is, in messages.
        spec: the optimizer.
        batch: the problems.
        x0: initial parameters, (n_problems, n_parameters).
    """

    words: str
    spec: OptimizerSpec
    batch: ProblemBatch
    x0: Array


def variations(subject: Subject) -> list[Variation]:
    """The case itself, then runs that a cache with an incomplete key confuses with it."""
    spec, batch = subject.spec, subject.batch
    x0 = subject.cast(batch.initial_parameters)
    last = list(spec.parameters)[-1]
    changed = dict(spec.parameters) | {last: np.asarray(0.5 * spec.parameters[last])}
    varied = [
        Variation("the case itself", spec, batch, x0),
        Variation("a run with half of every parameter and constant", other_spec(spec), batch, x0),
        Variation(f"a run with half of {last}", spec.with_parameters(changed), batch, x0),
        Variation(
            "a run with the problems in another order",
            spec,
            batch.part([*range(1, batch.n_problems), 0]),
            x0,
        ),
        Variation(
            "a run from -0.5 times the initial parameters", spec, batch, subject.cast(-0.5 * x0)
        ),
    ]
    if spec.constants:
        scaled = {name: 2 * value for name, value in spec.constants.items()}
        twice = dataclasses.replace(spec, constants=scaled)
        varied.append(Variation("a run with twice every constant", twice, batch, x0))
    return [
        v._replace(spec=v.spec.rounded_to(subject.dtype), batch=v.batch.rounded_to(subject.dtype))
        for v in varied
    ]


Handles = tuple[SubjectOptimizer, SubjectProblems, Array]


def interleaved(
    subject: Subject,
    call_name: str,
    highest_level: Level,
    call: Callable[[Handles], tuple[Any, ...] | Mapping[str, Any]],
) -> list[tuple[Variation, Any]]:
    """Call an implementation on all variations in turn, and require the first call to be pure.

    Args:
        subject: the implementation under test, on its case.
        call_name: name of the call in messages.
        highest_level: highest level of the calls that are made in between.
        call: makes the call on an optimizer, problems and initial parameters.

    Returns: each variation with the result of its call.
    """
    varied = variations(subject)
    with Unchanged(call_name, *varied):
        handles: list[Handles] = [
            (subject.optimizer(v.spec), subject.problems(v.batch), v.x0) for v in varied
        ]
        results: list[Any] = []

        def disturb() -> None:
            results.extend(call(handle) for handle in handles[1:])
            optimizer, problems, x0 = handles[0]
            _, gradient = problems.loss_and_gradient(3 * x0, 1)
            optimizer.step(optimizer.initial_state(x0.size), gradient.reshape(-1))
            subject.call_each_level(highest_level, SHORT_RUN, *handles[0])

        others = "; ".join(v.words for v in varied[1:])
        require_pure(call_name, lambda: flatten(call(handles[0])), disturb, others)
        results.insert(0, call(handles[0]))
    return list(zip(varied, results, strict=True))


def flatten(result: tuple[Any, ...] | Mapping[str, Any]) -> tuple[Any, ...]:
    """All arrays of a result, nested tuples and mappings included."""
    arrays: list[Any] = []
    for value in result.values() if isinstance(result, Mapping) else result:
        arrays += flatten(value) if isinstance(value, Mapping | tuple) else [value]
    return tuple(arrays)
