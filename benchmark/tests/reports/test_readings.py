"""The readings of the verdicts that the report shows, and their tables."""

from typing import Any

import pytest

pytest.importorskip("jinja2", reason="the report extra is not installed")

from loptbench.reports.sections.readings import readings_table, standing_readings
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


def test_readings_are_those_of_the_preset_with_most_seeds(make: Make) -> None:
    many = judged(reading("of many"), preset="paper", n_seeds=5)
    few = judged(reading("of few"), n_seeds=2)
    alone = judged(reading("of one"), checkpoint="quadratic-quick-jax-0")
    framework = judged(reading("of jax"), scope=Scope.ONE_FRAMEWORK, n_seeds=5)
    report = Report(make("store", everything(), few, many, alone, framework))
    own = standing_readings(report)
    assert own.reading.tolist() == ["primary", "of many"]
    assert own.robustness.tolist() == [0.5, 0.5]


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


def test_the_table_tells_what_each_reading_would_say(make: Make) -> None:
    other = reading("other", "inconclusive", reason="no gradients met", at_least=0.25)
    report = Report(make("store", everything(), judged(other)))
    (claim,) = (candidate for candidate in report.claims if candidate.name == "momentum")
    table = readings_table(claim, standing_readings(report))
    rows = table.frame.set_index("reading")
    assert rows.outcome.to_dict() == {"primary": "reproduced", "other": "inconclusive"}
    assert rows.threshold.to_dict() == {"primary": "at least 0.5", "other": "at least 0.25"}
    assert rows.agrees.to_dict() == {"primary": "the primary", "other": "no"}
    assert table.marks(table.status, "outcome") == ["reproduced", "inconclusive"]
    assert table.marks(table.note, "outcome") == ["", "no gradients met"]
