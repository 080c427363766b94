"""Measurements on a task's problems, and the results as they are stored."""

import json

import numpy as np
import pytest

from loptbench.discovery import oracle
from loptbench.mechanisms.analysis import analysis_size, analyze, later_runs, measure
from loptbench.mechanisms.clipping import engagement_by_problem
from loptbench.mechanisms.curve_readings import elasticity, rank_correlation
from loptbench.optimizers import OptimizerSpec, baseline, momentum, random, random_gru, sgd
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ClippingResult,
    ConvergencePointResult,
    MechanismsResult,
)
from loptbench.rollout.trajectory import unroll_by_steps
from loptbench.tasks import get_task

pytestmark = pytest.mark.harness


def test_measure_is_analyze_on_runs_of_the_task() -> None:
    optimizer = oracle().optimizer(momentum(0.1, 0.9), "float64", "cpu")
    measurement = measure(optimizer, "quadratic", 3, oracle(), n_problems=4)
    task = get_task("quadratic")
    batch = task.sample("evaluate", 3, range(4))
    problems = oracle().problems(batch, "float64", "cpu")
    run = unroll_by_steps(optimizer, problems, batch.initial_parameters, task.n_steps)
    np.testing.assert_array_equal(measurement.run.loss, run.loss)
    assert measurement.batch.n_problems == 4
    later = later_runs(optimizer, oracle(), batch, run)
    assert measurement.analysis == analyze(optimizer, run, later=later)


def test_large_states_are_measured_on_fewer_problems() -> None:
    assert analysis_size(1, "quadratic") == 64
    assert 1 <= analysis_size(100_000, "quadratic") < 64


@pytest.mark.parametrize(
    "spec",
    [
        sgd(0.1),
        baseline("adam", alpha=0.1, beta1=0.9, beta2=0.99),
        random_gru(3, 2),
        random("lstm", 3, 2),
    ],
    ids=lambda spec: spec.kind,
)
def test_an_analysis_is_read_as_it_was_written(spec: OptimizerSpec) -> None:
    optimizer = oracle().optimizer(spec, "float64", "cpu")
    analysis = measure(optimizer, "quadratic", 0, oracle(), n_problems=2).analysis
    text = json.dumps(analysis.model_dump(mode="json"), allow_nan=False)
    read = MechanismsResult.model_validate_json(text)
    assert read == analysis
    if isinstance(analysis.clipping, ClippingResult):
        assert isinstance(read.clipping, ClippingResult)
        for written, function in zip(analysis.clipping.states, read.clipping.states, strict=True):
            np.testing.assert_array_equal(function.half_saturation, written.half_saturation)


def test_what_only_the_comparison_needs_is_not_stored() -> None:
    optimizer = oracle().optimizer(momentum(0.1, 0.9), "float64", "cpu")
    analysis = analyze(optimizer)
    assert isinstance(analysis.adaptation, AdaptationResult)
    assert isinstance(analysis.convergence_point, ConvergencePointResult)
    assert analysis.adaptation.adapted.state.shape == (200, 1)
    stored = analysis.model_dump(mode="json")
    for states in ("adapted", "exact"):
        assert not {"state", "condition"} & set(stored["adaptation"][states])
    assert "no_rate" not in stored["convergence_point"]
    assert stored["convergence_point"]["drift"] is None


def test_engagement_is_unknown_where_half_saturation_is() -> None:
    gradients = np.array([[-3.0, 0.5, 1.0, 0.0], [5.0, 5.0, -1.0, 1.0]])
    shares = engagement_by_problem(gradients, np.array([2.0, 4.0]))
    np.testing.assert_allclose(shares, [1 / 3, 1 / 2])
    assert np.all(np.isnan(engagement_by_problem(gradients, np.array([np.nan, 4.0]))))


def test_slopes_need_ten_points_on_an_arm() -> None:
    g = np.concatenate([-np.geomspace(1, 10, 9)[::-1], np.geomspace(1, 10, 10)])
    for function, expected in ((elasticity, -0.5), (rank_correlation, -1.0)):
        negative, positive = function(g, np.abs(g) ** -0.5)
        assert np.isnan(negative)
        assert positive == pytest.approx(expected)
