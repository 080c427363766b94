"""The report says whether other architectures show the same mechanisms."""

from typing import Any

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

from loptbench.reports.page.store import render
from loptbench.reports.sections.architectures import architectures_section, side_by_side
from loptbench.reports.sections.report import Report
from loptbench.results.schema.evaluation import LearnedResult, MetaTraining
from loptbench.results.schema.keys import OptimizerId, Role
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Record
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import changed, evaluation, verdict
from loptbench.tests.reports.pages import Page

pytestmark = pytest.mark.harness


def trained(architecture: str) -> Record:
    """The evaluation of an optimizer of an architecture."""
    name = OptimizerId(role=Role.CHECKPOINT, name=f"quadratic-quick-{architecture}-jax-0")
    record = evaluation(optimizer=name)
    assert isinstance(record.result, LearnedResult)
    settings = {"preset": "quick", "seed": 0, "task": "quadratic", "architecture": architecture}
    about = MetaTraining(implementation="jax", configuration=settings)
    return changed(record, result=record.result.model_copy(update={"meta_training": about}))


def over_seeds(n: int, n_reproduced: int, n_against: int, **values: Any) -> Verdict:
    """A verdict on seeds 0 to n - 1."""
    counts = {"n_seeds": n, "n_reproduced": n_reproduced, "n_against": n_against}
    return verdict(edition="2", seeds=tuple(range(n)), **counts | values)


LSTM: dict[str, Any] = {"preset": "quick-lstm"}


@pytest.mark.parametrize(
    ("gru", "lstm", "says"),
    [
        ((8, 7, 1), (3, 3, 0), "the same"),
        ((8, 1, 7), (3, 0, 3), "the same"),
        ((8, 7, 1), (3, 0, 3), "the opposite"),
        ((8, 6, 2), (3, 3, 0), "open"),
        ((8, 8, 0), (3, 2, 1), "open"),
        ((5, 4, 1), (5, 1, 4), "the opposite"),
    ],
)
def test_at_least_four_of_five_seeds_say_what_holds(
    make: Make, gru: tuple[int, int, int], lstm: tuple[int, int, int], says: str
) -> None:
    store = make("store", [], over_seeds(*gru), over_seeds(*lstm, **LSTM))
    compared = side_by_side(Report(store).verdicts, "quick", "lstm")
    assert compared.compared.tolist() == [says]


def test_the_report_counts_them_and_names_opposites(make: Make) -> None:
    on_digits: dict[str, Any] = {
        "task": "digits",
        "claim": "clipping",
        "title": "Gradient clipping",
    }
    store = make(
        "store",
        [trained("gru"), trained("lstm")],
        over_seeds(8, 8, 0),
        over_seeds(3, 3, 0, **LSTM),
        over_seeds(8, 8, 0, **on_digits),
        over_seeds(3, 0, 3, **LSTM, **on_digits),
        over_seeds(3, 0, 3, **LSTM, task="rosenbrock"),
    )
    text = Page(render(store)).text
    assert "LSTM, preset quick, 3 seeds of a task: of 2 claims and tasks 1 as the GRU's" in text
    assert "1 the opposite, 0 open" in text
    assert (
        "Gradient clipping on digits: holds of the GRU (8 of 8 seeds), fails here (0 of 3)" in text
    )


def test_without_the_papers_architecture_there_is_nothing_to_compare(make: Make) -> None:
    alone = make("lstm", [trained("lstm")], over_seeds(3, 3, 0, **LSTM))
    assert not architectures_section(Report(alone))
    gru = make("gru", [trained("gru")], over_seeds(8, 8, 0))
    assert not architectures_section(Report(gru))
