"""Two stores side by side: only numbers that are paired have an interval."""

import math

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.comparison.stores import compare
from loptbench.results.store import Record
from loptbench.statistics.bootstrap import Sample, over_problems
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_mechanisms import schedule
from loptbench.tests.reports.made_records import (
    CHECKPOINT,
    IN_A,
    IN_B,
    baselines,
    conformance,
    evaluation,
    mechanisms,
    objective,
    page_of,
)


def test_the_ratio_is_paired_over_problems(make: Make) -> None:
    """By hand: the means are 10/4 and 13/4, so the ratio is 13/10."""
    row = objective(compare(make("a", [evaluation(IN_A)]), make("b", [evaluation(IN_B)])))
    assert (row.mean_a, row.mean_b) == (2.5, 3.25)
    assert row.ratio == pytest.approx(1.3)
    # Ratios of losses are not negative, but four problems leave the lower end open.
    interval = over_problems(Sample(np.array(IN_B), np.array(IN_A))).within(0.0, np.inf)
    assert interval.low == 0
    assert (row.low, row.high) == (interval.low, interval.high)
    assert row.why == ""


def test_pairing_narrows_the_interval_to_the_ratio_that_every_problem_has(make: Make) -> None:
    b = make("b", [evaluation([2 * x for x in IN_A])])
    compared = objective(compare(make("a", [evaluation(IN_A)]), b))
    assert [compared.low, compared.high] == pytest.approx([2.0, 2.0])
    (row,) = page_of(compare(make("c", [evaluation(IN_A)]), b)).rows("meta-objectives")
    expected = {"mean in A": "2.5", "mean in B": "5", "ratio B / A": "2", "95 % interval": "2 to 2"}
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("record", "ratio", "why"),
    [
        (evaluation(IN_B, seed=1), 1.3, "seed 0 in A, 1 in B"),
        (evaluation(IN_B, problems={"name": "quadratic", "n_steps": 7}), None, "defined otherwise"),
        (evaluation([2.0, 3.0]), 1.0, "4 in A, 2 in B"),
        (evaluation([1.0, None, 3.0, 4.0]), None, "diverged: 0 of 4 runs in A, 1 of 4 runs in B"),
        (evaluation([]), None, "B has no meta-objectives"),
    ],
    ids=["seed", "definition", "number", "diverged", "none"],
)
def test_what_is_not_paired_has_no_interval_and_says_why(
    make: Make, record: Record, ratio: float | None, why: str
) -> None:
    comparison = compare(make("a", [evaluation(IN_A)]), make("b", [record]))
    compared = objective(comparison)
    assert np.isnan([compared.low, compared.high]).all()
    assert compared.ratio == pytest.approx(np.nan if ratio is None else ratio, nan_ok=True)
    assert why in compared.why
    (row,) = page_of(comparison).rows("meta-objectives")
    assert row["95 % interval"] == f"–|no paired interval: {compared.why}"


def test_diverged_runs_are_counted_and_their_mean_is_infinite(make: Make) -> None:
    b = make("b", [evaluation([None, None, 3.0, 4.0])])
    comparison = compare(make("a", [evaluation()]), b)
    assert objective(comparison).mean_b == math.inf
    (row,) = page_of(comparison).rows("meta-objectives")
    assert (row["diverged in A"], row["diverged in B"]) == ("0 of 4", "2 of 4")
    assert row["mean in B"] == "∞"


def test_one_problem_and_a_mean_of_zero_have_no_interval(make: Make) -> None:
    comparison = compare(make("a", [evaluation([1.0])]), make("b", [evaluation([2.0])]))
    assert objective(comparison).ratio == 2.0
    assert np.isnan(objective(comparison).low)
    comparison = compare(make("c", [evaluation([0.0, 0.0])]), make("d", [evaluation([1.0, 1.0])]))
    assert np.isnan(objective(comparison).ratio)
    assert objective(comparison).why == "the mean in A is 0"


def test_what_four_digits_cannot_show_is_not_marked(make: Make) -> None:
    comparison = compare(
        make("a", [evaluation()]), make("b", [evaluation([x + 1e-9 for x in IN_A])])
    )
    compared = objective(comparison)
    assert not compared.identical
    assert not compared.differs
    assert 'class="n changed"' not in page_of(comparison).html
    comparison = compare(
        make("c", [evaluation()]), make("d", [evaluation([x * 1.01 for x in IN_A])])
    )
    assert objective(comparison).differs
    assert 'class="n changed"' in page_of(comparison).html


def test_baselines_are_compared_one_by_one(make: Make) -> None:
    comparison = compare(make("a", [baselines()]), make("b", [baselines(IN_B)]))
    ratios = dict(zip(comparison.objectives["label"], comparison.objectives["ratio"], strict=True))
    expected = {"tuned sgd": pytest.approx(1.3), "theoretical momentum": pytest.approx(1.3)}
    assert ratios == expected


def test_other_weights_of_the_same_name_are_told(make: Make) -> None:
    comparison = compare(make("a", [evaluation()]), make("b", [evaluation(IN_B, weights="d" * 64)]))
    page = page_of(comparison)
    (row,) = page.rows("meta-objectives")
    assert row["optimizer"].endswith("|other weights or hyperparameters of the same name")
    facts = {row["fact"]: row for row in page.rows("provenance-differs")}
    fact = facts[f"weights of {CHECKPOINT} on quadratic"]
    assert (fact["in A"], fact["in B"]) == ("bbbbbbbbbbbb…", "dddddddddddd…")


def test_an_error_that_is_not_finite_is_beyond_any_bound(make: Make) -> None:
    comparison = compare(make("a", [conformance()]), make("b", [conformance("failed", None)]))
    assert page_of(comparison).rows("agreement-in-both")[0]["in B"].startswith("∞")


def test_numbers_of_mechanisms_side_by_side(make: Make) -> None:
    b = make("b", [mechanisms(0.5, adaptation="no S-curve", schedule=schedule(9))])
    comparison = compare(make("a", [mechanisms()]), b)
    page = page_of(comparison)
    rows = {row["number"]: row for row in page.rows("mechanisms-changed")}
    index = rows["momentum index"]
    assert (index["in A"], index["in B"], index["difference B − A"]) == ("0.875", "0.5", "-0.375")
    assert rows["peak step"]["difference B − A"] == "6"
    elasticity = rows["elasticity, g < 0"]
    assert (elasticity["in A"], elasticity["in B"]) == ("-0.5", "–|not applicable: no S-curve")
    assert elasticity["difference B − A"] == "–"
    unchanged = {row["number"]: row["in A"] for row in page.rows("mechanisms-same")}
    assert unchanged["half-saturation at h*, g > 0"] == "0.75"
    assert unchanged["asymptotic rate"] == "16"
    assert "reach" not in unchanged.keys() | rows.keys()  # in neither
