"""Evaluations: curves, objectives and ratios from the losses of runs."""

import warnings

import numpy as np
import pytest

from loptbench.discovery import oracle
from loptbench.rollout.evaluation import paired_ratios, summarize
from loptbench.study.baselines import THEORETICAL_MOMENTUM, Baselines
from loptbench.tasks import Quadratic
from loptbench.tests.tuning.scores import made_entry
from loptbench.tuning.tuned_file import Tuned

pytestmark = pytest.mark.harness


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
    ratio = paired_ratios(finite, diverged).of_means
    assert (ratio.value, np.isnan(ratio.low), np.isnan(ratio.high)) == (0.0, True, True)
    assert paired_ratios(finite, finite).of_means.value == 1.0
    assert np.isnan(paired_ratios(diverged, finite).of_means.value)


def test_a_few_diverged_runs_leave_the_other_statistics_finite() -> None:
    losses = np.stack([np.ones(12), np.linspace(0.1, 0.9, 12)])
    diverged = losses.copy()
    diverged[1, :2] = np.inf
    ratios = paired_ratios(summarize(losses), summarize(diverged))
    assert np.isfinite([ratios.of_trimmed_means.value, ratios.median.value]).all()
    assert ratios.median.value == 1
    better = ratios.probability_of_improvement
    assert better.value == pytest.approx((2 + 10 / 2) / 12)
    assert better.low < better.value < better.high < 1


def test_ratios_are_of_the_problems_that_both_have() -> None:
    """A cross-check has the first of the baseline's problems."""
    losses = np.stack([np.ones(9), np.linspace(0.1, 0.9, 9)])
    ratios = paired_ratios(summarize(losses[:, :4]), summarize(losses))
    assert ratios.n_problems == 4
    assert ratios.of_means.value == ratios.median.value == 1


def test_curves_are_of_the_papers_problems_and_objectives_of_all() -> None:
    losses = np.stack([np.ones(200), np.arange(200.0)])
    evaluation = summarize(losses)
    assert (evaluation.n_problems, evaluation.n_curve_problems) == (200, 128)
    assert evaluation.curve_mean[1] == np.arange(128).mean()
    assert evaluation.final_loss_mean == np.arange(200).mean()
    assert len(evaluation.objective) == 200


def test_of_baselines_with_a_schedule_the_best_with_each_is_evaluated() -> None:
    task = Quadratic()
    entries = [
        made_entry(task, "sgd", 0.5, alpha=0.1),
        made_entry(task, "cosine_sgd", 0.3, alpha=0.1, final=0.5),
        made_entry(task, "cosine_momentum", 0.4, alpha=0.1, beta=0.9, final=0.5),
        made_entry(task, "exponential_sgd", 0.6, alpha=0.1, final=0.5),
    ]
    baselines = Baselines(oracle(), task, Tuned(entries, {}, "made"), seed=0, n_problems=2)
    kinds = ["sgd", "cosine_sgd", "exponential_sgd", THEORETICAL_MOMENTUM]
    assert list(baselines.evaluations) == kinds
    assert baselines.specs["cosine_sgd"].constants == {"n_steps": task.n_steps}
    # With a step size as small as this, any decay is a loss.
    means = {name: item.objective_mean for name, item in baselines.evaluations.items()}
    assert means["sgd"] < min(means["cosine_sgd"], means["exponential_sgd"])
