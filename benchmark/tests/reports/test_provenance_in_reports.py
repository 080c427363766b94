"""The report names versions, and says how long trials took."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")

from loptbench.reports.page.elements import Prose, Table
from loptbench.reports.sections.implementations import implementation_sections
from loptbench.reports.sections.provenance import facts as facts_of
from loptbench.reports.sections.provenance import timings
from loptbench.reports.sections.report import Report
from loptbench.results.store import Store


def test_versions_are_named(store: Store) -> None:
    sections = {part.title: part for part in implementation_sections(Report(store))}
    facts = sections["reference"].parts[0]
    assert isinstance(facts, Prose)
    assert f"numpy {np.__version__}" in str(facts.text)
    assert "version of numpy" in facts_of(Report(store))


def test_the_time_that_trials_took_is_shown(store: Store) -> None:
    report = Report(store)
    trials = report.trials
    seconds = trials.seconds[(trials.trial == "evaluation") & (trials.task == "digits")].sum()
    assert seconds > 0
    (table,) = timings(report)
    assert isinstance(table, Table)
    of_digits = table.frame[table.frame.task == "digits"].set_index("trial")
    assert of_digits.loc["evaluation", "sum"] == pytest.approx(seconds)
