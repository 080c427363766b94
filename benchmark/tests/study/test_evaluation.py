"""Evaluations: curves, objectives and ratios from the losses of runs."""

import warnings

import numpy as np
import pytest

from loptbench.rollout.evaluation import paired_ratio, summarize


def test_curves_are_relative_to_each_problems_first_loss() -> None:
    """By hand: relative losses are (1, 1), (½, ¾), and the standard error is |½ − ¾| / 2."""
    evaluation = summarize(np.array([[2.0, 4.0], [1.0, 3.0]]))
    assert evaluation.n_problems == 2
    assert evaluation.curve_mean.tolist() == [1.0, 0.625]
    assert evaluation.curve_standard_error.tolist() == [0.0, 0.125]
    assert (evaluation.final_loss_mean, evaluation.final_loss_median) == (2.0, 2.0)


@pytest.mark.parametrize("last", [np.inf, np.nan])
def test_a_run_that_diverges_has_an_infinite_objective_and_stays_in_the_mean(last: float) -> None:
    evaluation = summarize(np.array([[2.0, 4.0, 1.0], [1.0, last, 0.5]]))
    assert evaluation.n_diverged == 1
    assert np.isinf(evaluation.objective).tolist() == [False, True, False]
    assert evaluation.objective_mean == np.inf
    assert np.isfinite(evaluation.objective_median)


def test_one_problem_has_no_standard_error_and_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluation = summarize(np.array([[2.0], [1.0]]))
    assert np.isnan(evaluation.objective_standard_error)
    assert np.isnan(evaluation.curve_standard_error).all()


def test_a_ratio_of_diverged_runs_has_no_interval() -> None:
    finite = summarize(np.array([[2.0, 4.0], [1.0, 3.0]]))
    diverged = summarize(np.array([[2.0, 4.0], [1.0, np.inf]]))
    ratio = paired_ratio(finite, diverged)
    assert (ratio.ratio, np.isnan(ratio.low), np.isnan(ratio.high)) == (0.0, True, True)
    assert paired_ratio(finite, finite).ratio == 1.0
    assert np.isnan(paired_ratio(diverged, finite).ratio)
