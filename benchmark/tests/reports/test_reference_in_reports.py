"""The report says what was measured here, and what are the shipped reference results."""

import functools
from pathlib import Path

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

from loptbench.claims.catalogue import LATEST
from loptbench.reference_results import tables
from loptbench.reports.page.store import page, render
from loptbench.reports.sections.overview import verdict_matrix
from loptbench.reports.sections.reference import shipped_verdicts
from loptbench.reports.sections.report import Report
from loptbench.results.store import Store
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import baselines, evaluation, verdict
from loptbench.tests.reports.pages import Page

pytestmark = pytest.mark.harness

of_edition_2 = functools.partial(verdict, edition=str(LATEST))

SHIPPED = (
    of_edition_2(seeds=(0, 1), n_seeds=2),
    of_edition_2("not reproduced", claim="adaptation", seeds=(0, 1), n_seeds=2),
    of_edition_2(preset="paper", seeds=(0, 1), n_seeds=2),
)


@pytest.fixture(autouse=True)
def shipped(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reference results of one optimizer, with three verdicts, two of them of its size."""
    tables.make(make("shipped", [evaluation(), baselines()], *SHIPPED), tmp_path / "data")
    monkeypatch.setattr(tables, "_data", lambda name: tmp_path / "data" / name)


def marks(store: Store) -> dict[str, list[tuple[str, bool]]]:
    """For each claim of the matrix, the text of its marks, and whether they are the shipped."""
    report = Report(store)
    matrix = verdict_matrix(report.verdicts, report.claims, shipped_verdicts(report))
    return {
        title: [(mark.text, mark.is_shipped) for cell in cells for mark in cell]
        for title, _, cells in matrix.rows
    }


def test_what_was_not_measured_here_is_shown_as_shipped(make: Make) -> None:
    fewer = of_edition_2("inconclusive", seeds=(0,), n_seeds=1, n_reproduced=1)
    store = make("part", [evaluation(), baselines()], fewer)
    assert marks(store) == {
        "Momentum": [("1/1", False), ("0/2", True)],
        "Learning-rate adaptation": [("0/2", True)],
    }
    parsed = Page(render(store))
    assert parsed.classes.count("shipped") == 2
    assert "Of 2 verdicts of the complete run, 2 were not measured here" in parsed.text
    inside = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    assert inside <= set(parsed.identifiers)


def test_a_complete_run_shows_nothing_shipped_among_its_verdicts(make: Make) -> None:
    store = make("all", [evaluation(), baselines()], *SHIPPED[:2])
    assert not any(is_shipped for cell in marks(store).values() for _, is_shipped in cell)
    parsed = Page(render(store))
    assert "2 of 2 verdicts have the same outcome, 3 of 3 means agree" in parsed.text
    assert "No verdict has another outcome here." in parsed.text


def test_what_does_not_agree_comes_first(make: Make) -> None:
    other = of_edition_2("not reproduced", seeds=(0, 1), n_seeds=2)
    store = make("other", [evaluation([5.0, 6.0, 7.0, 8.0])], other)
    parsed = Page(render(store))
    (row,) = parsed.rows("reference-verdicts-changed")
    assert (row["here"], row["shipped"]) == ("not reproduced", "reproduced")
    (count,) = parsed.rows("reference-counts")
    assert (count["verdicts"], count["of another outcome"]) == ("1", "1")


def test_other_optimizers_have_nothing_shipped_beside_them(make: Make) -> None:
    store = make("own", [evaluation(weights="other")])
    assert marks(store) == {}
    (section,) = [s for g in page(store).groups for s in g.sections if s.anchor == "reference"]
    assert len(section.parts) == 2
    assert "Nothing that was measured here is among them." in render(store)
