"""A hint names the mistake that was made, and no mistake where there is none."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from loptbench.agreement.tolerances import bound
from loptbench.conformance.cases import cases, in_domain
from loptbench.conformance.hints import explain_arrays, explain_evaluation, explain_step
from loptbench.conformance.hints.evaluations import evaluation_mistakes
from loptbench.conformance.hints.matching import agrees
from loptbench.conformance.hints.steps import step_mistakes
from loptbench.discovery import oracle
from loptbench.optimizers import KINDS, OptimizerSpec
from loptbench.tasks import TASKS

pytestmark = pytest.mark.harness

OF_STEPS = bound("state", "float64"), bound("update", "float64")
OF_EVALUATIONS = bound("loss", "float64"), bound("gradient", "float64")


def _case(kind: str) -> tuple[OptimizerSpec, Any, Any]:
    spec = cases(kind, "quadratic", seed=7, checkpoints={})[0].spec
    rng = np.random.Generator(np.random.Philox(key=8))
    state = in_domain(kind, rng.uniform(-1, 1, (9, spec.n_state)))
    return spec, state, rng.standard_normal(9)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_mistake_of_a_step_is_named(kind: str) -> None:
    spec, state, gradient = _case(kind)
    right = oracle().optimizer(spec, "float64", "cpu").step(state, gradient)
    named = 0
    for mistake in step_mistakes(spec, state, gradient):
        with np.errstate(all="ignore"):
            wrong: Any = mistake.compute()
        if all(agrees(w, r, 1.0, 1e-9) for w, r in zip(wrong, right, strict=True)):
            continue  # it makes no difference here, such as for a state that does not exist
        hint = explain_step(spec, state, gradient, wrong, OF_STEPS)
        assert hint.startswith("this is what "), mistake.words
        named += mistake.words in hint
    assert named >= 3
    assert explain_step(spec, state, gradient, right, OF_STEPS) == ""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_unknown_mistake_gets_no_hint(kind: str) -> None:
    spec, state, gradient = _case(kind)
    new, update = oracle().optimizer(spec, "float64", "cpu").step(state, gradient)
    assert explain_step(spec, state, gradient, (new, 1.01 * update), OF_STEPS) == ""


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_mistake_of_an_evaluation_is_named(task: str) -> None:
    batch = cases("sgd", task, seed=7, checkpoints={})[0].batch.part([0, 1, 2])
    x = batch.initial_parameters
    right = oracle().problems(batch, "float64", "cpu").loss_and_gradient(x, 2)
    for mistake in evaluation_mistakes(batch, x, 2):
        with np.errstate(all="ignore"):
            wrong: Any = mistake.compute()
        if all(agrees(w, r, 1.0, 1e-9) for w, r in zip(wrong, right, strict=True)):
            continue
        hint = explain_evaluation(batch, x, 2, wrong, OF_EVALUATIONS)
        assert hint.startswith("this is what "), mistake.words
    assert explain_evaluation(batch, x, 2, right, OF_EVALUATIONS) == ""
    loss, gradient = right
    assert explain_evaluation(batch, x, 2, (loss, 1.01 * gradient), OF_EVALUATIONS) == ""


def test_float32_inside_is_named() -> None:
    spec, state, gradient = _case("gru")
    new, update = oracle().optimizer(spec, "float64", "cpu").step(state, gradient)
    rounded = new.astype(np.float32).astype(np.float64), update
    assert "float32" in explain_step(spec, state, gradient, rounded, OF_STEPS)


def test_patterns_of_arrays_are_named() -> None:
    right = np.random.Generator(np.random.Philox(key=9)).standard_normal((5, 4))
    assert explain_arrays(right, right, 1e-12) == ""
    assert explain_arrays(right + 0.1, right, 1e-12) == ""
    assert explain_arrays(6 * right, right, 1e-12) == "every entry is 6 times what it should be"
    later = np.concatenate([right[1:], right[:1]])
    assert explain_arrays(later, right, 1e-12) == (
        "this is what the values of the next step would give"
    )
    reverse = explain_arrays(right[:, ::-1], right, 1e-12)
    assert reverse == "this is what the problems in reverse order would give"


def test_a_hint_needs_every_array() -> None:
    """A right state with the update of a mistake is not the mistake that changes both."""
    spec, state, gradient = _case("momentum")
    right, _ = oracle().optimizer(spec, "float64", "cpu").step(state, gradient)
    halved = dataclasses.replace(spec, parameters=dict(spec.parameters) | {"beta": np.asarray(0.0)})
    _, update = oracle().optimizer(halved, "float64", "cpu").step(state, gradient)
    hint = explain_step(spec, state, gradient, (right, update), OF_STEPS)
    assert hint == "this is what a step along the gradient alone would give"
