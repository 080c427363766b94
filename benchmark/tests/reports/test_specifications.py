"""The specification curve: where each reading stands, what is marked, what is counted."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("seaborn", reason="the report extra is not installed")

import pandas as pd

from loptbench.reports.page.elements import Figure
from loptbench.reports.plots.specifications import (
    distance,
    interval_distances,
    specification_curve,
)
from loptbench.results.schema.verdicts import Outcome
from loptbench.tests.reports.pages import whole

pytestmark = pytest.mark.harness

NAN = float("nan")
NUMBERS = st.floats(-1e6, 1e6).filter(lambda number: number == 0 or abs(number) > 1e-6)


def reading(words: str, **values: Any) -> dict[str, Any]:
    """A row of the frame `specifications`, by default of a reading that holds."""
    usual = {
        "claim": "adaptation",
        "title": "Adaptation",
        "task": "quadratic",
        "preset": "quick",
        "kind": "exploratory",
        "reading": words,
        "is_primary": words == "primary",
        "threshold": "at most 0.9",
        "at_least": NAN,
        "at_most": 0.9,
        "value": 0.5,
        "low": 0.4,
        "high": 0.6,
        "outcome": "reproduced",
        "agrees": True,
        "reason": "",
        "robustness": 0.5,
    }
    return usual | values


def drawn(*rows: dict[str, Any]) -> Figure:
    figure = specification_curve("adaptation", pd.DataFrame(rows), "loptbench report")
    assert figure is not None
    return figure


BOTH = reading("primary"), reading("other", outcome="not reproduced", agrees=False)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_distance_is_positive_just_where_the_claim_holds(
    value: float, one: float, other: float
) -> None:
    least, most = sorted([one, other])
    assert (distance(value, least, NAN) >= 0) == (value >= least)
    assert (distance(value, NAN, most) >= 0) == (value <= most)
    assert (distance(value, least, most) >= 0) == (least <= value <= most)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_an_interval_reaches_over_the_threshold_just_where_it_does_not_decide(
    low: float, high: float, one: float, other: float
) -> None:
    least, most = sorted([one, other])
    low, high = sorted([low, high])
    row = pd.Series({"low": low, "value": (low + high) / 2, "high": high})
    for ends in ((least, NAN), (NAN, most), (least, most)):
        nearest, farthest = interval_distances(
            pd.concat([row, pd.Series(ends, ["at_least", "at_most"])])
        )
        at_least, at_most = ends
        inside = (np.isnan(at_least) or at_least <= low) and (np.isnan(at_most) or high <= at_most)
        outside = high < at_least or at_most < low
        assert (nearest >= 0) == inside
        assert (farthest < 0) == outside


def test_the_primary_reading_comes_first_and_stands_out() -> None:
    svg = whole(drawn(reading("other"), reading("primary")).panels[0])
    assert svg.index("primary: at most 0.9") < svg.index("other: at most 0.9")
    bold = svg[: svg.index("primary: at most 0.9")].rindex("<text")
    assert "700" in svg[bold : svg.index("primary: at most 0.9")]


def test_readings_that_agree_are_counted_for_each_task() -> None:
    other = [reading("other", task="rosenbrock"), reading("primary", task="rosenbrock")]
    figure = drawn(*BOTH, *other)
    assert ">0/1<" in whole(figure.panels[0])
    assert ">1/1<" in whole(figure.panels[0])
    words = figure.alternative
    assert "Adaptation, quadratic, quick, exploratory: reproduced, 0/1 agree" in words
    assert "Adaptation, rosenbrock, quick, exploratory: reproduced, 1/1 agree" in words


def test_each_size_has_its_own_marks() -> None:
    large = [row | {"preset": "paper", "outcome": "inconclusive"} for row in BOTH]
    both, alone = (drawn(*rows).panels[0].of_size for rows in ([*BOTH, *large], BOTH))
    assert {*both} == {"quick", "paper"}
    assert both["quick"].count("<use") == both["paper"].count("<use") > 0
    assert both["quick"].count("<use") == alone["quick"].count("<use")


def test_where_the_primary_reading_decides_nothing_nothing_agrees() -> None:
    open_ones = [row | {"outcome": "inconclusive", "robustness": NAN} for row in BOTH]
    svg = whole(drawn(*open_ones).panels[0])
    assert ">–<" in svg
    assert "/1<" not in svg


def test_a_reading_without_a_number_says_so() -> None:
    missing = reading("other", value=NAN, low=NAN, high=NAN, outcome="inconclusive")
    assert "no number" in whole(drawn(BOTH[0], missing).panels[0])
    assert "no number" not in whole(drawn(*BOTH).panels[0])


@pytest.mark.parametrize("outcome", Outcome)
def test_the_legend_names_the_outcomes_that_are_drawn(outcome: Outcome) -> None:
    legend = drawn(*(row | {"outcome": str(outcome)} for row in BOTH)).legend
    assert [key.name for key in legend] == [outcome]


def test_exploratory_marks_are_faint_beside_confirmatory_ones_only() -> None:
    confirmatory = [row | {"kind": "confirmatory"} for row in BOTH]
    both = drawn(*BOTH, *confirmatory)
    assert "faint: exploratory" in [key.name for key in both.legend]
    assert "opacity: 0.3" in whole(both.panels[0])
    for alone in (BOTH, confirmatory):
        assert "faint: exploratory" not in [key.name for key in drawn(*alone).legend]
        assert "opacity: 0.3" not in whole(drawn(*alone).panels[0])


def test_a_claim_with_one_reading_has_no_panel() -> None:
    assert specification_curve("adaptation", pd.DataFrame([BOTH[0]]), "") is None
    alone = reading("primary", claim="momentum", title="Momentum")
    assert [panel.title for panel in drawn(*BOTH, alone).panels] == ["Adaptation"]


def test_far_values_stand_at_the_edge() -> None:
    near, far = (
        whole(drawn(BOTH[0], reading("other", value=value, low=value, high=value)).panels[0])
        for value in (-1e3, -1e9)
    )
    assert near == far


def test_the_same_readings_give_the_same_bytes() -> None:
    assert drawn(*BOTH).panels == drawn(*BOTH).panels
