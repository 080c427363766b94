"""Known mistakes of a loss and its gradient."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from loptbench.conformance.hints.matching import Float, Mistake, matching
from loptbench.discovery import oracle
from loptbench.tasks import ProblemBatch, unflatten


def explain_evaluation(
    batch: ProblemBatch,
    parameters: Float,
    step: int,
    actual: tuple[Any, Any],
    limits: tuple[float, float],
) -> str:
    """The hint for a loss and gradient that are not the oracle's; empty if no mistake gives them.

    Args:
        batch: the problems.
        parameters: where they were evaluated, (n_problems, n_parameters).
        step: the inner step.
        actual: the losses and gradients that the implementation returned.
        limits: the bounds of their scaled errors.
    """
    problems = oracle().problems(batch, "float64", "cpu")
    with np.errstate(all="ignore"):
        expected = problems.loss_and_gradient(parameters, step)
        scales = problems.rounding_scale(parameters, step)
    mistakes = evaluation_mistakes(batch, parameters, step)
    return matching(mistakes, actual, expected, scales, limits)


def evaluation_mistakes(batch: ProblemBatch, x: Float, step: int) -> Iterator[Mistake]:
    """Each mistake in loss and gradient, then in one of the two alone."""

    def evaluate(changed: ProblemBatch, at: Float = x, k: int = step) -> Any:
        return oracle().problems(changed, "float64", "cpu").loss_and_gradient(at, k)

    def at_parameters(change: Any) -> Any:
        loss, gradient = evaluate(batch, change(x))
        return loss, change(gradient)

    loss, gradient = evaluate(batch)
    yield from _of_the_results(batch, loss, gradient)
    if "penalty" in batch.shared:
        yield from _of_the_penalty(float(batch.shared["penalty"]), x, loss, gradient)
    for words, changed in changed_batches(batch):
        yield from _together_and_apart(
            words, lambda changed=changed: evaluate(changed), loss, gradient
        )
    for words, k in (
        ("the previous step's minibatch", step - 1),
        ("the next step's minibatch", step + 1),
        ("the first step's minibatch in every step", 0),
    ):
        if k >= 0 and k != step:
            yield Mistake(words, lambda k=k: evaluate(batch, k=k))
    for words, change in changed_parameters(batch):
        yield Mistake(words, lambda change=change: at_parameters(change))


def _together_and_apart(
    words: str, compute: Any, loss: Float, gradient: Float
) -> Iterator[Mistake]:
    yield Mistake(words, compute)
    yield Mistake(f"{words} in the loss only", lambda: (compute()[0], gradient))
    yield Mistake(f"{words} in the gradient only", lambda: (loss, compute()[1]))


def _of_the_results(batch: ProblemBatch, loss: Float, gradient: Float) -> Iterator[Mistake]:
    """Factors, means and sums of the right results, and problems in another order."""
    n, size = batch.n_problems, batch.n_parameters
    factors = {
        "the other sign": -1.0,
        "twice the value": 2.0,
        "half the value": 0.5,
        f"a mean over the {n} problems": 1 / n,
        f"a mean over the {size} parameters": 1 / size,
    }
    for words, factor in factors.items():
        yield from _together_and_apart(
            words, lambda factor=factor: (factor * loss, factor * gradient), loss, gradient
        )
    yield from _together_and_apart(
        "the squared loss",
        lambda: (loss**2, 2 * loss[:, None] * gradient),
        loss,
        gradient,
    )
    mean = np.full_like(loss, loss.mean())
    yield Mistake("the mean loss of all problems for each", lambda: (mean, gradient))
    norm = np.sqrt(np.sum(gradient**2, axis=1, keepdims=True))
    yield Mistake("a gradient divided by its norm", lambda: (loss, gradient / norm))
    for words, order in (
        ("the first problem in the place of all", np.zeros(n, int)),
        ("problems in reverse order", np.arange(n)[::-1]),
        ("the next problem in the place of each", np.roll(np.arange(n), -1)),
    ):
        if n > 1:
            yield from _together_and_apart(
                words, lambda order=order: (loss[order], gradient[order]), loss, gradient
            )
    yield Mistake("a gradient of zero", lambda: (loss, 0 * gradient))
    yield Mistake("the parameters in reverse order", lambda: (loss, gradient[:, ::-1]))


def _of_the_penalty(penalty: float, x: Float, loss: Float, gradient: Float) -> Iterator[Mistake]:
    """The penalty is penalty · ‖x‖₂, and its gradient penalty · x / ‖x‖₂."""
    norm = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    data_loss, data_gradient = loss - penalty * norm[:, 0], gradient - penalty * x / norm
    for words, value, slope in (
        ("a penalty on the squared norm", norm**2, 2 * x),
        ("a penalty on half the squared norm", 0.5 * norm**2, x),
        ("a penalty on the sum of absolute values", np.abs(x).sum(1, keepdims=True), np.sign(x)),
        ("no penalty", 0 * norm, 0 * x),
    ):
        yield from _together_and_apart(
            words,
            lambda value=value, slope=slope: (
                data_loss + penalty * value[:, 0],
                data_gradient + penalty * slope,
            ),
            loss,
            gradient,
        )


def changed_batches(batch: ProblemBatch) -> Iterator[tuple[str, ProblemBatch]]:
    """The problems with one of their arrays mistaken, and the mistake in words."""

    def with_array(name: str, array: Any) -> ProblemBatch:
        return dataclasses.replace(batch, arrays=dict(batch.arrays) | {name: array})

    for name, array in batch.arrays.items():
        first = np.broadcast_to(array[:1], array.shape)
        yield f"the first problem's {name} for all", with_array(name, first)
        if array.dtype.kind != "f":
            for axis in range(1, array.ndim):
                flipped = np.flip(array, axis)
                yield f"{name} in reverse order along axis {axis}", with_array(name, flipped)
            continue
        yield f"{name} left out", with_array(name, 0 * array)
        yield f"{name} of 1", with_array(name, np.ones_like(array))
        yield f"{name} with the other sign", with_array(name, -array)
        yield f"twice {name}", with_array(name, 2 * array)
        yield f"half of {name}", with_array(name, 0.5 * array)
        yield f"{name} of 100", with_array(name, np.full_like(array, 100.0))
        if array.ndim >= 3 and array.shape[-1] == array.shape[-2]:
            yield f"{name} transposed", with_array(name, np.swapaxes(array, -1, -2))
    for name, array in batch.shared.items():
        if array.dtype.kind == "f" and array.ndim == 0:
            for words, value in ((f"{name} left out", 0 * array), (f"twice {name}", 2 * array)):
                shared = dict(batch.shared) | {name: np.asarray(value)}
                yield words, dataclasses.replace(batch, shared=shared)


def changed_parameters(batch: ProblemBatch) -> Iterator[tuple[str, Any]]:
    """Another reading of the flat parameters: a function that maps them and is its own inverse."""

    def changing(names: tuple[str, ...], change: Any) -> Any:
        def apply(x: Float) -> Float:
            parts = unflatten(x, batch.layout)
            for name in names:
                parts[name] = change(parts[name])
            return np.concatenate([part.reshape(len(x), -1) for part in parts.values()], axis=1)

        return apply

    kernels = tuple(name for name, shape in batch.layout.items() if len(shape) == 4)
    square = [n for n, shape in batch.layout.items() if len(shape) == 2 and shape[0] == shape[1]]
    for name in square:
        yield f"{name} transposed", changing((name,), lambda w: np.swapaxes(w, 1, 2))
    if kernels:
        for axes, words in (
            ((2, 3), "second and third"),
            ((3, 4), "third and fourth"),
            ((1, 2), "first and second"),
        ):
            yield (
                f"kernels mirrored along their {words} axes",
                changing(kernels, lambda k, axes=axes: np.flip(k, axes)),
            )
