"""The claims are data, and each of them can fail."""

import pytest
from pydantic import ValidationError

from loptbench.claims.catalogue import PREMISE, Claim, claims
from loptbench.claims.statistics import STATISTICS

pytestmark = pytest.mark.harness

CLAIM_FIELDS = {
    "name": "x",
    "title": "X",
    "statistic": "x",
    "tasks": ["quadratic"],
    "sentence": "X.",
}


def test_claims_have_names_of_their_own_and_the_premise_comes_first() -> None:
    names = [claim.name for claim in claims()]
    assert len(set(names)) == len(names)
    assert names[0] == PREMISE


def test_thresholds_lie_where_their_statistics_can() -> None:
    for claim in claims():
        statistic = STATISTICS[claim.statistic]
        ends = [end for end in (claim.at_least, claim.at_most) if end is not None]
        assert all(statistic.least <= end <= statistic.most for end in ends), claim.name
    peak_step = STATISTICS["peak_step"]
    assert (peak_step.least, peak_step.most) == (0, 200)  # the last step of the longest run


def test_a_claim_without_a_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match="it cannot fail"):
        Claim.model_validate(CLAIM_FIELDS)


def test_a_claim_on_a_task_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown tasks: mnist"):
        Claim.model_validate({**CLAIM_FIELDS, "at_least": 1, "tasks": ["mnist"]})


@pytest.mark.parametrize(
    ("ends", "words", "true", "false", "neither"),
    [
        ({"at_least": 0.5}, "at least 0.5", (0.5, 0.7), (0.1, 0.49), (0.4, 0.6)),
        ({"at_most": 1}, "at most 1", (0.2, 1.0), (1.1, 1.2), (0.9, 1.1)),
        ({"at_least": -1, "at_most": 1}, "between -1 and 1", (-1, 1), (1.5, 2), (-2, 2)),
    ],
)
def test_an_interval_is_as_claimed_wholly_not_at_all_or_in_part(
    ends: dict[str, float],
    words: str,
    true: tuple[float, float],
    false: tuple[float, float],
    neither: tuple[float, float],
) -> None:
    claim = Claim.model_validate({**CLAIM_FIELDS, **ends})
    assert claim.threshold == words
    assert claim.holds(*true) is True
    assert claim.holds(*false) is False
    assert claim.holds(*neither) is None
