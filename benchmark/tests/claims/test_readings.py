"""The second horizon, robustness, and the readings beside a verdict."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.claims.catalogue import PREMISE, Reading, claims, load_edition
from loptbench.claims.outcomes import ReadingOutcome, horizons_differ, robustness
from loptbench.claims.statistics import Later
from loptbench.claims.verdicts import judge, judge_all
from loptbench.results.schema.verdicts import DEPENDS_ON_READING, Outcome, Scope, Verdict
from loptbench.statistics.bootstrap import Interval
from loptbench.tests.claims.made_evidence import made_evidence, ratios

pytestmark = pytest.mark.harness

AT_MOST_09 = Reading.model_validate({"statistic": "adaptation", "at_most": 0.9})
FALLS, RISES = (0.4, 0.5), (1.5, 0.5)


def over_all_seeds(verdicts: list[Verdict], claim: str) -> Verdict:
    (verdict,) = (v for v in verdicts if v.claim == claim and v.scope is Scope.ALL_SEEDS)
    return verdict


def test_adaptation_is_judged_by_the_arm_whose_rate_falls_less() -> None:
    verdict = judge(made_evidence(**ratios((0.4, 0.8), (0.4, 0.8))))["adaptation"].verdict
    assert (verdict.value, verdict.outcome) == (0.8, Outcome.REPRODUCED)
    verdict = judge(made_evidence(**ratios((0.4, 1.2), (0.4, 1.2))))["adaptation"].verdict
    assert (verdict.value, verdict.outcome) == (1.2, Outcome.NOT_REPRODUCED)


def test_where_the_horizons_disagree_it_is_inconclusive() -> None:
    for first, later in ((FALLS, RISES), (RISES, FALLS)):
        verdict = judge(made_evidence(**ratios(first, later)))["adaptation"].verdict
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.value == max(first)
        assert verdict.reason == f"after 2 T steps it is {max(later):.3g}"


def test_without_a_number_at_the_second_horizon_it_is_inconclusive() -> None:
    verdict = judge(made_evidence(**ratios(FALLS, (np.nan, 0.5))))["adaptation"].verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "after 2 T steps there is no number"


def test_the_second_horizon_counts_over_seeds_too() -> None:
    """Of five seeds one is far off at 2 T: each of four is reproduced, their mean is not."""
    later = [FALLS, FALLS, FALLS, FALLS, (9.0, 0.5)]
    seeds = [made_evidence(seed=i, **ratios(FALLS, at)) for i, at in enumerate(later)]
    verdict = over_all_seeds(judge_all(seeds), "adaptation")
    assert verdict.n_reproduced == 4
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "after 2 T steps it is 2.2"
    same = [made_evidence(seed=i, **ratios(FALLS, FALLS)) for i in range(5)]
    assert over_all_seeds(judge_all(same), "adaptation").outcome is Outcome.REPRODUCED


def test_the_second_horizon_does_not_excuse_what_is_no_optimizer() -> None:
    verdict = judge(made_evidence(ratio=2.0, **ratios(RISES, FALLS)))["adaptation"].verdict
    assert verdict.outcome is Outcome.NOT_REPRODUCED


def test_edition_1_has_one_horizon() -> None:
    evidence = made_evidence(**ratios(FALLS, RISES))
    assert judge(evidence, load_edition(1))["adaptation"].verdict.outcome is Outcome.REPRODUCED


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_horizons_differ_only_across_the_threshold(first: float, second: float) -> None:
    differ = horizons_differ(AT_MOST_09, first, Later(second))
    assert bool(differ) == ((first <= 0.9) != (second <= 0.9))
    assert horizons_differ(AT_MOST_09, first, None) == ""


def outcome(name: Outcome, value: float | None = 0.5, **fields: Any) -> ReadingOutcome:
    interval = None if value is None else Interval(value, value, value)
    return ReadingOutcome(AT_MOST_09, name, interval=interval, **fields)


YES, NO, OPEN = Outcome.REPRODUCED, Outcome.NOT_REPRODUCED, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("primary", "alternatives", "share"),
    [
        (outcome(YES), (outcome(YES), outcome(YES)), 1.0),
        (outcome(YES), (outcome(YES), outcome(NO)), 0.5),
        (outcome(YES), (outcome(OPEN), outcome(NO)), 0.0),
        (outcome(NO), (outcome(NO), outcome(YES), outcome(NO), outcome(NO)), 0.75),
        (outcome(OPEN), (outcome(OPEN), outcome(NO)), 0.5),
        (outcome(YES), (), None),
        # What has no number does not agree.
        (outcome(NO), (outcome(NO), outcome(NO, None)), 0.5),
        # Nothing was decided by a reading.
        (outcome(OPEN, None, is_decided=False), (outcome(OPEN, None), outcome(NO)), None),
        (outcome(NO, is_decided=False, by_premise=True), (outcome(NO),), None),
    ],
)
def test_robustness_is_the_share_of_alternatives_that_agree(
    primary: ReadingOutcome, alternatives: tuple[ReadingOutcome, ...], share: float | None
) -> None:
    assert robustness((primary, *alternatives)) == share


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=12))
def test_a_verdict_depends_on_the_reading_below_two_thirds(others: list[Outcome]) -> None:
    share = robustness((outcome(YES), *map(outcome, others)))
    verdict = Verdict(
        claim="momentum",
        task="quadratic",
        scope=Scope.CHECKPOINT,
        checkpoint="x",
        outcome=YES,
        robustness=share,
    )
    n_agree = others.count(YES)
    assert verdict.depends_on_reading == (3 * n_agree < 2 * len(others))
    assert (DEPENDS_ON_READING in verdict.words) == verdict.depends_on_reading
    assert verdict.words.startswith("reproduced")


def test_the_readings_stand_beside_the_verdict_the_primary_one_first() -> None:
    for claim in claims():
        if not claim.is_across_tasks and "digits" in claim.tasks:
            verdict = judge(made_evidence(0.9, **ratios(FALLS, FALLS)))[claim.name].verdict
            assert [r.reading for r in verdict.readings] == [r.words for r in claim.readings]
            primary = verdict.readings[0]
            assert primary.agrees
            for name in ("value", "low", "high", "outcome", "at_least", "at_most", "statistic"):
                assert getattr(primary, name) == getattr(verdict, name)


def test_readings_of_adaptation_that_disagree_are_counted() -> None:
    """The ratio at q99 rises, all readings against other references fall."""
    verdict = judge(made_evidence(**ratios((1.5, 1.5), (1.5, 1.5))))["adaptation"].verdict
    assert verdict.outcome is Outcome.NOT_REPRODUCED
    agreeing = [reading for reading in verdict.readings[1:] if reading.agrees]
    assert {reading.statistic for reading in agreeing} == {
        "adaptation(summary=ratio, states=adapted, after=2T)",
        "adaptation(summary=ratio, states=adapted, arms=mean)",
    }
    assert verdict.robustness == pytest.approx(2 / 14)
    assert verdict.depends_on_reading


def test_without_the_premise_no_reading_of_any_claim_is_reproduced() -> None:
    """It counts that the primary reading of the premise fails; the other claims then fail too."""
    probes = ratios(FALLS, FALLS)
    for edition in (1, 2):
        judged = judge(made_evidence(0.9, ratio=1.5, **probes), load_edition(edition))
        for name, own in judged.items():
            assert own.verdict.outcome is not Outcome.REPRODUCED
            outcomes = {reading.outcome for reading in own.verdict.readings}
            assert name == PREMISE or Outcome.REPRODUCED not in outcomes
    seeds = [made_evidence(0.9, ratio=1.5, seed=i, **probes) for i in range(6)]
    for verdict in judge_all(seeds):
        assert verdict.outcome is not Outcome.REPRODUCED
        assert verdict.n_reproduced == 0
        if verdict.claim == "momentum":
            assert verdict.robustness is None
            assert all(r.outcome is Outcome.NOT_REPRODUCED for r in verdict.readings)


@pytest.mark.parametrize("n", range(1, 5))
def test_with_fewer_than_five_seeds_every_reading_is_inconclusive(n: int) -> None:
    seeds = [made_evidence(0.9, seed=i, **ratios(FALLS, FALLS)) for i in range(n)]
    for verdict in judge_all(seeds):
        if verdict.scope is not Scope.CHECKPOINT:
            assert verdict.reason == f"{n} of at least 5 seeds"
            assert verdict.outcome is Outcome.INCONCLUSIVE
            assert verdict.robustness is None
            assert {reading.outcome for reading in verdict.readings} == {Outcome.INCONCLUSIVE}
