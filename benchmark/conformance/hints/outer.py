"""Known mistakes of outer steps."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from loptbench.conformance.hints.matching import Mistake, matching
from loptbench.discovery import oracle
from loptbench.optimizers import OptimizerSpec
from loptbench.protocol import OuterState
from loptbench.tasks import ProblemBatch
from loptbench.training.settings import MetaTraining


def explain_outer_steps(
    spec: OptimizerSpec,
    config: MetaTraining,
    batches: Sequence[ProblemBatch],
    actual: OuterState,
    limit: float,
) -> str:
    """The hint for outer steps that are not the oracle's; empty if no mistake gives their result.

    Args:
        spec: the optimizer before the first step.
        config: the settings.
        batches: the problems of the steps taken.
        actual: the state after them.
        limit: the bound of the changes' scaled errors, relative to the largest of each array.
    """
    names = sorted(spec.parameters)

    def changes(outer: OuterState) -> list[Any]:
        return [np.asarray(outer.parameters[n], np.float64) - spec.parameters[n] for n in names]

    expected = changes(_outer_steps(spec, batches, [config] * len(batches)))
    scales = [float(np.abs(change).max(initial=0.0)) for change in expected]
    mistakes = outer_mistakes(spec, config, batches)
    computed = (
        Mistake(words, lambda compute=compute: changes(compute())) for words, compute in mistakes
    )
    return matching(computed, changes(actual), expected, scales, [limit] * len(names))


def _outer_steps(
    spec: OptimizerSpec, batches: Sequence[ProblemBatch], configs: Sequence[MetaTraining]
) -> OuterState:
    outer: OuterState = oracle().outer_init(spec.parameters, configs[0])
    for batch, config in zip(batches, configs, strict=True):
        outer, _ = oracle().outer_step(outer, spec, batch, config)
    return outer


def outer_mistakes(
    spec: OptimizerSpec, config: MetaTraining, batches: Sequence[ProblemBatch]
) -> Iterator[tuple[str, Any]]:
    """The mistakes, each in words and as a function that returns the outer state."""

    def with_settings(**settings: Any) -> Any:
        changed = config.model_copy(update=settings)
        return lambda: _outer_steps(spec, batches, [changed] * len(batches))

    def squared_norm(factor: float) -> OuterState:
        # penalty · ∇‖θ‖² = 2 penalty θ is the gradient of ‖θ‖ with 2 ‖θ‖ times the penalty.
        outer: OuterState = oracle().outer_init(spec.parameters, config)
        for batch in batches:
            square = sum(float(np.sum(array**2)) for array in outer.parameters.values())
            penalty = factor * np.sqrt(square) * config.penalty
            own = config.model_copy(update={"penalty": penalty})
            outer, _ = oracle().outer_step(outer, spec, batch, own)
        return outer

    yield "no penalty", with_settings(penalty=0.0)
    yield "the penalty's gradient of the squared norm", lambda: squared_norm(2.0)
    yield "the penalty's gradient of half the squared norm", lambda: squared_norm(1.0)
    yield "a penalty with the other sign", with_settings(penalty=-config.penalty)
    yield "no clipping", with_settings(clip=np.inf)
    other = "elementwise" if config.clipping == "global-norm" else "global-norm"
    yield f"{other} clipping instead of {config.clipping}", with_settings(clipping=other)
    yield "no decay of the learning rate", with_settings(decay=1.0)
    yield "a decay in every step", with_settings(decay_steps=1)
    yield "beta1 and beta2 swapped", with_settings(beta1=config.beta2, beta2=config.beta1)
    yield "the usual beta1 and beta2 (0.9, 0.999)", with_settings(beta1=0.9, beta2=0.999)
    yield "no momentum (beta1 of 0)", with_settings(beta1=0.0)
    yield "the usual epsilon (1e-8)", with_settings(epsilon=1e-8)
    yield "no epsilon", with_settings(epsilon=0.0)
    yield "an ascent", with_settings(learning_rate=-config.learning_rate)
    yield "one inner step less", with_settings(n_steps=config.n_steps - 1)
    yield "one inner step more", with_settings(n_steps=config.n_steps + 1)
    yield (
        "a decay from the second step on",
        lambda: _outer_steps(
            spec,
            batches,
            [
                config.model_copy(
                    update={
                        "learning_rate": config.learning_rate
                        * config.decay ** (1 / config.decay_steps)
                    }
                )
            ]
            * len(batches),
        ),
    )
    yield (
        "the first step's problems in every step",
        lambda: _outer_steps(spec, [batches[0]] * len(batches), [config] * len(batches)),
    )
