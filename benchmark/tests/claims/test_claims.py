"""The claims are data, and each of them can hold and can fail."""

import pytest
from pydantic import ValidationError

from loptbench.claims.catalogue import PREMISE, SHIPPED, Claim, Reading, claims, load_edition
from loptbench.tasks import TASKS

pytestmark = pytest.mark.harness

NETWORKS_TOO = tuple(TASKS)


@pytest.mark.parametrize("edition", SHIPPED)
def test_claims_have_names_of_their_own_and_the_premise_comes_first(edition: str) -> None:
    names = [claim.name for claim in claims(edition)]
    assert len(set(names)) == len(names)
    assert names[0] == PREMISE
    assert claims(int(edition)) == claims(edition)
    assert load_edition(edition).name == edition


def test_edition_2_is_the_default() -> None:
    assert claims() == claims(2) != claims(1)


@pytest.mark.parametrize("edition", SHIPPED)
def test_thresholds_lie_where_their_statistics_can(edition: str) -> None:
    for claim in claims(edition):
        for reading in claim.readings:
            ends = [end for end in (reading.at_least, reading.at_most) if end is not None]
            measured = reading.measured
            assert ends
            assert all(measured.least <= end <= measured.most for end in ends) or reading.compared


def test_edition_1_is_as_it_was() -> None:
    """Its thresholds, as they stood before any of its numbers were seen."""
    thresholds = {claim.name: (claim.primary.label, claim.threshold) for claim in claims(1)}
    assert thresholds == {
        "optimizes": ("ratio_to_sgd", "at most 1"),
        "better-than-baselines": ("ratio_to_best_baseline", "at most 1"),
        "single-convergence-point": ("starts_at_point", "at least 0.99"),
        "linear-near-convergence": ("r2_near", "at least 0.8"),
        "momentum": ("momentum_index", "at least 0.5"),
        "momentum-of-theory": ("index_minus_theory", "between -0.05 and 0.05"),
        "momentum-of-tuning": ("index_minus_tuned", "between -0.05 and 0.05"),
        "clipping": ("saturation_reach", "at least 0.1"),
        "clipping-spared": ("engagement", "at most 0.05"),
        "clipping-engaged": ("engagement", "at least 0.05"),
        "schedule-rises": ("peak_over_first", "at least 1.1"),
        "schedule-peaks": ("peak_step", "between 10 and 50"),
        "schedule-decays": ("last_over_peak", "at most 0.8"),
        "schedule-absent": ("lowest_over_highest", "at least 0.8"),
        "adaptation": ("adaptation_rank", "at most -0.5"),
        "adaptation-strength": ("adaptation_elasticity", "at most -0.1"),
    }
    assert not any(claim.alternatives for claim in claims(1))


def test_edition_2_is_the_table_of_section_8() -> None:
    table = {claim.name: (claim.tasks, claim.primary.label, claim.threshold) for claim in claims(2)}
    autonomous = "states=autonomous, after=T"
    assert table == {
        "optimizes": (
            NETWORKS_TOO,
            "ratio(baseline=sgd, summary=ratio_of_means)",
            "at most 1",
        ),
        "better-than-baselines": (
            NETWORKS_TOO,
            "ratio(baseline=best, summary=ratio_of_means)",
            "at most 1",
        ),
        "single-convergence-point": (
            NETWORKS_TOO,
            "share_at_point(distance=h0, after=10T)",
            "at least 0.99",
        ),
        "linear-near-convergence": (
            NETWORKS_TOO,
            "r2_of_linear_system(steps=last, summary=pooled)",
            "at least 0.8",
        ),
        "momentum": (NETWORKS_TOO, "momentum(measure=index)", "at least 0.5"),
        "momentum-of-theory": (
            ("quadratic",),
            "momentum(measure=index, minus=theory)",
            "between -0.05 and 0.05",
        ),
        "momentum-of-tuning": (
            ("quadratic",),
            "momentum(measure=index, minus=tuning)",
            "between -0.05 and 0.05",
        ),
        "clipping": (NETWORKS_TOO, "reach(state=h0)", "at least 1"),
        "clipping-used-more": (
            ("rosenbrock", "quadratic"),
            "saturation_loss(compared=ratio)",
            "at least 2",
        ),
        "schedule-rises": (
            ("quadratic",),
            f"schedule(shape=peak_over_first, {autonomous})",
            "at least 1.1",
        ),
        "schedule-peaks": (
            ("quadratic",),
            f"schedule(shape=peak_step, {autonomous})",
            "between 10 and 50",
        ),
        "schedule-decays": (
            ("quadratic", "two_moons"),
            f"schedule(shape=last_over_peak, {autonomous})",
            "at most 0.8",
        ),
        "schedule-absent": (
            ("rosenbrock",),
            f"schedule(shape=lowest_over_highest, {autonomous})",
            "at least 0.8",
        ),
        "adaptation": (
            NETWORKS_TOO,
            "adaptation(summary=ratio, states=adapted, after=T)",
            "at most 0.9",
        ),
        "s-curve-plane": (NETWORKS_TOO, "s_curve_variance(states=adapted)", "at least 0.9"),
        "s-curve-order": (
            NETWORKS_TOO,
            "s_curve_order(states=adapted, arms=together)",
            "at least 0.95",
        ),
    }


def test_no_two_readings_of_a_claim_are_the_same() -> None:
    for claim in claims(2):
        labels = [(reading.label, reading.threshold) for reading in claim.readings]
        words = [reading.words for reading in claim.readings]
        assert len(set(labels)) == len(labels), claim.name
        assert len(set(words)) == len(words), claim.name


@pytest.mark.parametrize(
    ("ends", "words", "true", "false", "neither"),
    [
        ({"at_least": 0.5}, "at least 0.5", (0.5, 0.7), (0.1, 0.49), (0.4, 0.6)),
        ({"at_most": 1}, "at most 1", (0.2, 1.0), (1.1, 1.2), (0.9, 1.1)),
        ({"at_least": -1, "at_most": 1}, "between -1 and 1", (-1, 1), (1.5, 2), (-2, 2)),
        ({"at_least": 0.5}, "at least 0.5", (1, 1), (0, 0), (float("nan"), float("nan"))),
    ],
)
def test_an_interval_is_as_claimed_wholly_not_at_all_or_in_part(
    ends: dict[str, float],
    words: str,
    true: tuple[float, float],
    false: tuple[float, float],
    neither: tuple[float, float],
) -> None:
    reading = Reading.model_validate({"statistic": "momentum", **ends})
    assert reading.threshold == words
    assert reading.holds(*true) is True
    assert reading.holds(*false) is False
    assert reading.holds(*neither) is None


def test_a_claim_of_edition_1_has_its_statistic_beside_its_name() -> None:
    old = {"statistic": "momentum_index", "at_least": 0.5}
    fields = {"name": "x", "title": "X", "sentence": "X.", "tasks": ["quadratic"]}
    new = Claim.model_validate({**fields, "primary": old})
    assert Claim.model_validate({**fields, **old}) == new
    with pytest.raises(ValidationError):
        Claim.model_validate({**fields, **old, "primary": old})
