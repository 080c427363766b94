"""The statistics of edition 2 on results of probes with chosen numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from loptbench.claims.catalogue import claims
from loptbench.claims.evidence import Evidence
from loptbench.claims.statistics import STATISTICS, Answer, Estimate
from loptbench.claims.statistics.momentum import OPTIMAL_BETA
from loptbench.claims.statistics.ranks import rank_correlation
from loptbench.optimizers import optimal_momentum
from loptbench.results.schema.mechanisms import (
    AdaptationReadings,
    ExplainedResult,
    ModeResult,
    NotApplicable,
    SaturationResult,
)
from loptbench.tasks import TASKS, Quadratic
from loptbench.tests.claims.made_evidence import made_evidence
from loptbench.tests.reports import made_mechanisms

pytestmark = pytest.mark.harness

GRADIENTS = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0])


def answer(evidence: Evidence, statistic: str, **parameters: str) -> Answer:
    return STATISTICS[statistic].statistic(parameters).estimate(evidence)


def value(evidence: Evidence, statistic: str, **parameters: str) -> float:
    estimate = answer(evidence, statistic, **parameters)
    assert isinstance(estimate, Estimate), estimate
    return estimate.value


def changed(probe: Any, **values: Any) -> Any:
    return probe.model_copy(update=values)


def test_performance_on_problems_of_which_one_is_far_worse() -> None:
    evidence = made_evidence(0.9, ratio=0.5)
    ours, theirs = evidence.of_problems("objective"), evidence.of_problems("objective", "sgd")
    assert ours.size == theirs.size == 64
    assert value(evidence, "ratio") == pytest.approx(ours.sum() / theirs.sum())
    assert value(evidence, "ratio", summary="median") == pytest.approx(np.median(ours / theirs))
    mean_log = value(evidence, "ratio", summary="mean_log", baseline="best")
    assert mean_log == pytest.approx(np.mean(np.log(ours / theirs)))
    middle = [np.sort(x)[16:48].mean() for x in (ours, theirs)]
    trimmed = value(evidence, "ratio", summary="ratio_of_trimmed_means")
    assert trimmed == pytest.approx(middle[0] / middle[1])
    assert value(evidence, "probability_of_improvement") == 1.0
    diverged = made_evidence(0.9, ratio=0.5, diverged=True)
    assert value(diverged, "ratio") == value(diverged, "ratio", summary="mean_log") == np.inf
    assert value(diverged, "ratio", summary="median") < 1
    assert value(diverged, "probability_of_improvement") == 63 / 64


def with_objectives(evidence: Evidence, role: str, change: Callable[[Any], Any]) -> Evidence:
    """The evidence with other meta-objectives of the learned or of the tuned optimizers."""
    problems = evidence.frames["problems"]
    chosen = (problems["role"] == role) & (problems["quantity"] == "objective")
    kept = pd.concat([problems[~chosen], change(problems[chosen].copy())])
    return dataclasses.replace(evidence, frames={**evidence.frames, "problems": kept})


def diverge(rows: Any) -> Any:
    return rows.assign(value=rows["value"].mask(rows["problem"] == 3, np.inf))


def test_a_baseline_that_diverged_has_an_infinite_mean() -> None:
    """A finite mean over an infinite one is zero. Medians and trimmed means hardly notice."""
    evidence = with_objectives(made_evidence(0.9, ratio=0.5), "tuned", diverge)
    assert value(evidence, "ratio") == 0
    estimate = answer(evidence, "ratio")
    assert isinstance(estimate, Estimate)
    assert (estimate.interval.low, estimate.interval.high) == (0, 0)
    assert 0.4 < value(evidence, "ratio", summary="median") < 0.6
    assert 0.4 < value(evidence, "ratio", summary="ratio_of_trimmed_means") < 0.6
    assert value(evidence, "probability_of_improvement") == 1
    assert isinstance(answer(evidence, "ratio", summary="mean_log"), NotApplicable)
    both = with_objectives(evidence, "checkpoint", diverge)
    assert isinstance(answer(both, "ratio"), NotApplicable)
    assert value(both, "probability_of_improvement") == 63.5 / 64


def test_a_cross_check_is_compared_on_its_own_problems() -> None:
    evidence = made_evidence(0.9, ratio=0.5)
    few = with_objectives(evidence, "checkpoint", lambda rows: rows[rows["problem"] < 10])
    ours, theirs = evidence.of_problems("objective")[:10], evidence.of_problems("objective", "sgd")
    assert value(few, "ratio") == pytest.approx(ours.sum() / theirs[:10].sum())
    assert value(few, "probability_of_improvement") == 1


def test_the_share_at_the_convergence_point_at_both_horizons() -> None:
    probe = changed(
        made_mechanisms.convergence_point(),
        other_starts=4,
        other_starts_at_this_point=1,
        share_at_point={"10T": 0.5, "20T": 0.75},
        share_nearer={"10T": 0.25, "20T": 1.0},
    )
    evidence = made_evidence(convergence_point=probe)
    estimate = answer(evidence, "share_at_point")
    assert isinstance(estimate, Estimate)
    assert estimate.value == 0.5
    assert estimate.later is not None
    assert (estimate.later.value, estimate.later.words) == (0.75, "20 T steps")
    assert value(evidence, "share_at_point", after="20T") == 0.75
    assert value(evidence, "share_at_point", distance="own") == 0.25
    assert value(evidence, "share_at_point", distance="own", after="20T") == 1.0
    assert value(evidence, "share_at_point", distance="exact", after="20T") == 0.25
    assert value(evidence, "starts_at_point") == 0.25


def explained(*shares: float) -> ExplainedResult:
    return ExplainedResult(error=np.array(shares), variation=np.ones(len(shares)))


def test_r_squared_pooled_and_as_a_median() -> None:
    probe = changed(
        made_mechanisms.momentum(0.9),
        last=explained(0.0, 0.1, 0.8),
        near=explained(0.5, 0.5, 0.5),
        whole=explained(1.0, 0.7, 0.4),
    )
    evidence = made_evidence(momentum=probe)
    assert value(evidence, "r2_of_linear_system") == pytest.approx(0.7)
    median = answer(evidence, "r2_of_linear_system", summary="median")
    assert isinstance(median, Estimate)
    assert median.value == pytest.approx(0.9)
    interval = median.interval
    assert interval.low <= median.value <= interval.high
    assert interval.low == pytest.approx(0.2)
    assert value(evidence, "r2_of_linear_system", steps="second_half") == pytest.approx(0.5)
    assert value(evidence, "r2_near") == pytest.approx(0.5)
    assert value(evidence, "r2_of_linear_system", steps="whole") == pytest.approx(0.3)
    unmeasured = answer(made_evidence(0.9), "r2_of_linear_system")
    assert isinstance(unmeasured, NotApplicable)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_every_measure_of_heavy_ball_is_its_momentum(beta: float) -> None:
    mode = ModeResult(
        eigenvalue=(beta, 0.0), timescale=1.0, contribution=beta / (1 - beta), condition=1.0
    )
    probe = changed(
        made_mechanisms.momentum(beta),
        impulse_response=-0.1 * beta ** np.arange(400.0),
        modes=(mode,),
    )
    evidence = made_evidence(momentum=probe, task="quadratic")
    for measure in ("index", "mode", "lag", "absolute"):
        assert value(evidence, "momentum", measure=measure) == pytest.approx(beta, abs=1e-9)
        minus = value(evidence, "momentum", measure=measure, minus="theory")
        assert minus == pytest.approx(beta - OPTIMAL_BETA, abs=1e-9)
    untuned = answer(evidence, "momentum", minus="tuning")
    assert isinstance(untuned, NotApplicable)
    assert untuned.reason == "momentum has not been tuned"


def test_the_optimal_momentum_is_that_of_theory() -> None:
    low, high = Quadratic().eigenvalues
    beta = ((np.sqrt(high) - np.sqrt(low)) / (np.sqrt(high) + np.sqrt(low))) ** 2
    assert pytest.approx(beta) == OPTIMAL_BETA
    assert optimal_momentum(low, high).parameters["beta"] == pytest.approx(beta)


def test_an_oscillating_response_has_a_share_in_absolute_value() -> None:
    probe = changed(made_mechanisms.momentum(0.0), impulse_response=np.array([-1.0, 1.0, -1.0]))
    evidence = made_evidence(momentum=probe)
    assert value(evidence, "momentum", measure="absolute") == pytest.approx(2 / 3)
    assert isinstance(answer(evidence, "momentum", measure="mode"), NotApplicable)


def test_clipping_at_every_state() -> None:
    function = made_mechanisms.update_function
    probe = changed(
        made_mechanisms.clipping(),
        states=(
            function("h0", [1.0, 2.0]),
            function("h*", [4.0, 8.0]),
            function("step 3, component 1", [1.0, 4.0]),
            function("step 9, component 0", [2.0, 2.0]),
            function("step 50, component 2", [np.inf, 1.0]),
        ),
        largest_gradient=4.0,
        reach=0.5,
        reach_at_h0=2.0,
        engagement=0.25,
        engagement_by_problem=np.array([0.0, 0.5]),
        engagement_at_h0=0.5,
        engagement_at_h0_by_problem=np.array([0.25, 0.75]),
        saturation_loss={"T": 0.25, "2T": 0.125},
        saturation=SaturationResult(actual=np.array([1.0, 2.0]), linear=np.array([2.0, 2.0])),
    )
    evidence = made_evidence(clipping=probe)
    assert value(evidence, "reach") == value(evidence, "reach", state="h0") == 2.0
    assert value(evidence, "reach", state="h*") == value(evidence, "saturation_reach") == 0.5
    assert value(evidence, "reach", state="met") == 1.0  # the median of 1, 2 and 0
    assert value(evidence, "saturation", state="h0") == 0.5
    assert value(evidence, "engagement") == 0.25
    assert value(evidence, "engagement", state="h0") == 0.5
    loss = answer(evidence, "saturation_loss")
    assert isinstance(loss, Estimate)
    assert loss.value == 0.25
    assert loss.later is not None
    assert loss.later.value == 0.125


def shapes(rate: list[float], **changes: Any) -> Evidence:
    rates = np.array(rate)
    probe = made_mechanisms.schedule(1)
    assert probe.met is not None
    met = changed(probe.met, rate=rates[::-1], low=rates, high=rates, peak_step=2)
    probe = changed(probe, rate=rates, trajectory=np.zeros((len(rates), 1)), met=met, **changes)
    return made_evidence(schedule=probe)


def test_shapes_of_the_schedule() -> None:
    rate = [1.0, 1.9, 2.0, *np.linspace(1.9, 1.0, 25)]
    evidence = shapes(rate, longer=changed(made_mechanisms.schedule(9), peak_over_first=4.0))
    rises = answer(evidence, "schedule", shape="peak_over_first")
    assert isinstance(rises, Estimate)
    assert rises.value == 2.0
    assert rises.later is not None
    assert (rises.later.value, rises.later.words) == (4.0, "2 T steps")
    assert value(evidence, "schedule", shape="peak_over_first", after="2T") == 4.0
    assert value(evidence, "schedule", shape="peak_step", states="met") == 2.0
    assert value(evidence, "schedule", shape="at_25_over_first") == pytest.approx(rate[25])
    assert value(evidence, "schedule", shape="near_peak_step") == 1.0
    assert value(evidence, "schedule", shape="rank_after_peak") == -1.0
    quarter = value(evidence, "schedule", shape="last_quarter_over_peak")
    assert quarter == pytest.approx(np.mean(rate[-7:]) / 2)
    low, high = np.quantile(rate, [0.1, 0.9])
    assert value(evidence, "schedule", shape="q10_over_q90") == pytest.approx(low / high)
    # At the states of real runs the rate goes the other way.
    assert value(evidence, "schedule", shape="near_peak_step", states="met") == 24
    assert value(evidence, "peak_over_first") == 2.0  # that of edition 1
    constant = shapes([1.0] * 30)
    assert value(constant, "schedule", shape="rank_after_peak") == 0.0
    assert value(constant, "schedule", shape="q10_over_q90") == 1.0
    short = answer(shapes([1.0, 2.0, 1.0]), "schedule", shape="at_25_over_first")
    assert isinstance(short, NotApplicable)


def readings(first: float) -> AdaptationReadings:
    names = AdaptationReadings.model_fields
    return AdaptationReadings(
        **{name: np.array([first + i, first + i + 0.5]) for i, name in enumerate(names)}
    )


def test_every_reading_of_adaptation() -> None:
    probe = made_mechanisms.adaptation()
    probe = changed(
        probe,
        ratio={"T": np.array([0.25, 0.75]), "2T": np.array([0.5, 0.25])},
        readings={"T": readings(0.0), "2T": readings(10.0), "exact": readings(20.0)},
        exact=changed(probe.exact, ratio=np.array([3.0, 4.0])),
    )
    evidence = made_evidence(adaptation=probe)
    ratio = answer(evidence, "adaptation")
    assert isinstance(ratio, Estimate)
    assert ratio.value == 0.75
    assert ratio.later is not None
    assert ratio.later.value == 0.5
    assert value(evidence, "adaptation", arms="mean") == 0.5
    assert value(evidence, "adaptation", after="2T") == 0.5
    assert value(evidence, "adaptation", states="exact") == 4.0
    for i, name in enumerate(AdaptationReadings.model_fields):
        if name != "peak_gradient":
            assert value(evidence, "adaptation", summary=name) == i + 0.5
            assert value(evidence, "adaptation", summary=name, after="2T") == i + 10.5
            assert value(evidence, "adaptation", summary=name, states="exact") == i + 20.5


def curve(component: list[float]) -> dict[str, Any]:
    points = np.zeros((8, 3))
    points[:, 0] = component
    filled = {name: np.ones(8) for name in ("rate_reference", "rate_local")}
    return {"gradients": GRADIENTS, "curve": points, "reason": ("",) * 8, **filled}


def test_the_s_curve_of_adapted_and_exact_states() -> None:
    probe = made_mechanisms.adaptation(variance=np.array([0.5, 0.125, 0.25]))
    no, yes, ones = np.zeros(8, bool), np.ones(8, bool), np.ones(8)
    in_order = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    swapped = [1.0, 2.0, 3.0, 4.0, 6.0, 5.0, 7.0, 8.0]
    adapted = changed(
        probe.adapted,
        **curve(in_order),
        rate_reference_later=ones,
        remaining_change=ones,
        speed=ones,
        cycling=no,
        variance=np.array([0.75, 0.125]),
        order=1.0,
    )
    exact = changed(
        probe.exact, **curve(swapped), residual=ones, spectral_radius=ones, stable=yes, several=no
    )
    evidence = made_evidence(adaptation=changed(probe, adapted=adapted, exact=exact))
    assert value(evidence, "s_curve_variance") == 0.875
    assert value(evidence, "s_curve_variance", states="settled") == 0.625
    assert value(evidence, "s_curve_order") == 1.0
    assert value(evidence, "s_curve_order", arms="apart") == 1.0
    together = value(evidence, "s_curve_order", states="exact")
    assert together == pytest.approx(abs(rank_correlation(swapped, GRADIENTS)))
    assert value(evidence, "s_curve_order", states="exact", arms="apart") == pytest.approx(0.8)


def test_a_curve_in_one_dimension_is_one_in_a_plane() -> None:
    evidence = made_evidence(adaptation=made_mechanisms.adaptation(variance=np.array([1.0])))
    assert value(evidence, "s_curve_variance", states="settled") == 1.0


@pytest.mark.parametrize("edition", [1, 2])
def test_where_no_probe_applies_every_reading_says_why(edition: int) -> None:
    """The claims on performance have numbers, and that on one convergence point has a zero."""
    unmeasured = {task: made_evidence(task=task) for task in TASKS}
    for claim in claims(edition):
        for reading in claim.readings:
            given = reading.measured.estimate(unmeasured[claim.tasks[0]])
            if claim.name in ("optimizes", "better-than-baselines", "single-convergence-point"):
                assert isinstance(given, Estimate)
            else:
                assert isinstance(given, NotApplicable)
                assert given.reason in ("because", "momentum has not been tuned")


@pytest.mark.parametrize("name", STATISTICS)
def test_every_combination_of_parameters_is_a_statistic_or_is_refused(name: str) -> None:
    family = STATISTICS[name]
    combinations: list[dict[str, str]] = [{}]
    for parameter, choices in family.parameters.items():
        combinations = [{**c, parameter: choice} for c in combinations for choice in choices]
    n_refused = 0
    for combination in combinations:
        try:
            statistic = family.statistic(combination)
        except ValueError:
            n_refused += 1
        else:
            assert statistic.words
            assert statistic.least < statistic.most
    assert n_refused < len(combinations)
    assert family.statistic({}).words
