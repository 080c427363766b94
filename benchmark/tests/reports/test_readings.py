"""The readings of the verdicts that the report shows."""

from typing import Any

import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.reports.sections.readings import standing_readings
from loptbench.reports.sections.report import Report
from loptbench.results.schema.verdicts import Outcome, ReadingResult, Scope, Verdict
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import everything, verdict

pytestmark = pytest.mark.harness


def reading(words: str, outcome: str = "reproduced", **values: Any) -> ReadingResult:
    """A reading that has a number."""
    usual: dict[str, Any] = {
        "reading": words,
        "statistic": "momentum",
        "at_least": 0.5,
        "value": 0.75,
        "outcome": Outcome(outcome),
        "agrees": outcome == "reproduced",
    }
    return ReadingResult(**usual | values)


def judged(*others: ReadingResult, **values: Any) -> Verdict:
    """A reproduced verdict with a primary reading and others."""
    usual: dict[str, Any] = {
        "edition": "2",
        "readings": (reading("primary"), *others),
        "robustness": 0.5,
    }
    return verdict(**usual | values)


def test_readings_are_those_over_all_seeds_of_each_size(make: Make) -> None:
    many = judged(reading("of many"), preset="paper", n_seeds=5)
    few = judged(reading("of few"), n_seeds=2)
    alone = judged(reading("of one"), checkpoint="quadratic-quick-jax-0")
    framework = judged(reading("of jax"), scope=Scope.ONE_FRAMEWORK, n_seeds=5)
    report = Report(make("store", everything(), few, many, alone, framework))
    own = standing_readings(report)
    readings = own.groupby("preset").reading.agg(list).to_dict()
    assert readings == {"paper": ["primary", "of many"], "quick": ["primary", "of few"]}
    assert own.robustness.tolist() == [0.5] * 4


def test_each_claim_keeps_its_readings_in_the_order_of_the_claims(make: Make) -> None:
    verdicts = [
        judged(reading("later"), claim="adaptation"),
        judged(reading("sooner")),
        judged(reading("elsewhere"), task="rosenbrock"),
    ]
    own = standing_readings(Report(make("store", everything(), *verdicts)))
    assert own.reading.tolist() == [
        "primary",
        "sooner",
        "primary",
        "elsewhere",
        "primary",
        "later",
    ]


def test_confirmatory_readings_stand_beside_exploratory_ones(make: Make) -> None:
    new = judged(reading("new"), kind="confirmatory", seeds=(10,))
    own = standing_readings(Report(make("store", everything(), judged(reading("old")), new)))
    kinds = own.groupby("kind").reading.agg(list).to_dict()
    assert kinds == {"confirmatory": ["primary", "new"], "exploratory": ["primary", "old"]}
