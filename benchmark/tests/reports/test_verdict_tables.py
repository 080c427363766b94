"""Verdicts in the report: confirmatory ones first, editions, readings, claims across tasks."""

from pathlib import Path

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

import pandas as pd

from loptbench.claims.catalogue import claims
from loptbench.claims.judging import judge
from loptbench.claims.verdicts import judge_all
from loptbench.reports.page.elements import Mark
from loptbench.reports.page.store import render
from loptbench.reports.sections.overview import verdict_matrix
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import headline, in_words, known_verdicts, of_size
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.verdicts import Outcome
from loptbench.results.store import Record, Store
from loptbench.tests.claims.made_evidence import made_evidence, made_records, saturation
from loptbench.tests.fixture_types import Command
from loptbench.tests.reports import made_mechanisms
from loptbench.tests.reports.pages import Page

pytestmark = pytest.mark.harness

SEEN, NEW = range(5), range(10, 15)


def verdicts_of(*seeds: int, index: float = 0.9) -> pd.DataFrame:
    evidence = [made_evidence(index, seed=seed, task="quadratic") for seed in seeds]
    evidence += [
        made_evidence(seed=seed, task=task, **saturation(loss))
        for seed in seeds
        for task, loss in (("rosenbrock", 0.4), ("digits", 0.1))
    ]
    contents = Contents(records=[], verdicts=judge_all(evidence))
    return known_verdicts(frame_of(contents, "verdicts"), claims())


def marks(verdicts: pd.DataFrame, title: str, task: str = "quadratic") -> list[Mark]:
    """The marks of one cell of the matrix."""
    matrix = verdict_matrix(verdicts, claims(), verdicts.iloc[:0])
    (cells,) = (cells for name, _, cells in matrix.rows if name == title)
    return list(cells[list(matrix.columns).index(task)])


def test_confirmatory_verdicts_come_first_and_are_the_headline() -> None:
    verdicts = verdicts_of(*SEEN, *NEW)
    kinds = list(verdicts.kind)
    assert kinds == sorted(kinds)
    assert set(kinds) == {"confirmatory", "exploratory"}
    assert set(headline(verdicts).kind) == {"confirmatory"}
    first, second = marks(verdicts, "Momentum")
    assert (first.is_aside, second.is_aside) == (False, True)
    assert "confirmatory" in first.words
    assert "exploratory" in second.words
    assert (
        "All are confirmatory and exploratory."
        in verdict_matrix(verdicts, claims(), verdicts.iloc[:0]).caption
    )


def test_claims_that_only_seen_optimizers_were_measured_for_keep_their_verdicts() -> None:
    new = verdicts_of(*NEW)
    both = pd.concat([verdicts_of(*SEEN), new[new.claim != "momentum"]])
    kinds = headline(both).groupby(headline(both).claim == "momentum").kind.unique()
    assert [[*kinds[is_momentum]] for is_momentum in (True, False)] == [
        ["exploratory"],
        ["confirmatory"],
    ]


def test_without_new_optimizers_the_headline_says_that_it_is_exploratory() -> None:
    verdicts = verdicts_of(*SEEN)
    assert verdict_matrix(verdicts, claims(), verdicts.iloc[:0]).caption.endswith(
        "All are exploratory."
    )
    assert "exploratory" in in_words(verdicts)


def test_the_outcomes_of_the_two_kinds_are_not_added_up() -> None:
    verdicts = pd.concat([verdicts_of(*SEEN, index=0.9), verdicts_of(*NEW, index=0.1)])
    (size,) = {mark.size for mark in marks(verdicts, "Momentum")}
    own = of_size(verdicts, size)
    assert own.outcome[(own.claim == "momentum") & (own.task == "quadratic")].tolist() == [
        Outcome.NOT_REPRODUCED
    ]


def test_a_claim_across_tasks_stands_with_its_first_task() -> None:
    evidence = [
        made_evidence(seed=seed, task=task, **saturation(loss))
        for seed in SEEN
        for task, loss in (("rosenbrock", 0.4), ("quadratic", 0.1))
    ]
    contents = Contents(records=[], verdicts=judge_all(evidence))
    verdicts = known_verdicts(frame_of(contents, "verdicts"), claims())
    (mark,) = marks(verdicts, "Clipping used more on Rosenbrock", "rosenbrock")
    assert (mark.outcome, mark.text) == ("reproduced", "5/5~")
    assert mark.words.startswith("rosenbrock and quadratic, ")
    assert marks(verdicts, "Clipping used more on Rosenbrock") == []


def test_what_depends_on_the_reading_says_so() -> None:
    """The ratio at large gradients rises, while all other readings of the made probe fall."""
    rises = made_mechanisms.adaptation(ratio={"T": [1.5, 1.5], "2T": [1.5, 1.5]})
    evidence = [made_evidence(seed=seed, task="quadratic", adaptation=rises) for seed in SEEN]
    contents = Contents(records=[], verdicts=judge_all(evidence))
    verdicts = known_verdicts(frame_of(contents, "verdicts"), claims())
    (mark,) = marks(verdicts, "Learning-rate adaptation")
    assert (mark.outcome, mark.text) == ("not reproduced", "0/5~")
    assert "14% of other readings agree" in mark.words
    assert "depends on the reading" in in_words(verdicts)


def stored(folder: Path, edition: int) -> Store:
    """A store of one made checkpoint, with the verdicts of an edition."""
    store = Store.create(folder)
    records: list[Record] = made_records(0.9, task="quadratic")
    for record in records:
        store.put(record)
    store.put_verdicts(judge(store, edition), records)
    return store


def test_verdicts_of_another_edition_are_drawn_from_the_same_store(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", edition=2)
    second, first = Report(store), Report(store, 1)
    assert second.are_stored
    assert not first.are_stored
    assert set(second.frame("verdicts").edition) == {"2"}
    assert set(first.frame("verdicts").edition) == {"1"}
    assert set(first.verdicts.claim) == {c.name for c in claims(1) if "quadratic" in c.tasks}
    assert store.verdicts() == tuple(second.contents.verdicts)  # the store is as it was
    old = Report(stored(tmp_path / "old", edition=1))
    assert not old.are_stored
    assert set(old.frame("verdicts").edition) == {"2"}
    assert Report(old.store, 1).are_stored


def test_the_command_shows_the_edition_that_is_asked_for(command: Command, tmp_path: Path) -> None:
    stored(tmp_path / "store", edition=2)
    pages = {}
    for edition in ("1", "2"):
        path = tmp_path / f"{edition}.html"
        code, _, error = command(
            "report", str(tmp_path / "store"), "--output", str(path), "--claims", edition
        )
        assert code == 0, error
        pages[edition] = Page(path.read_text())
    assert "claim-adaptation-strength" in pages["1"].identifiers
    assert "claim-s-curve-order" not in pages["1"].identifiers
    assert "claim-s-curve-order" in pages["2"].identifiers
    assert "claim-adaptation-strength" not in pages["2"].identifiers
    assert "--claims 1" in pages["1"].text


def test_claims_of_a_file_have_a_section(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[claim]]\nname = "mine"\ntitle = "My claim"\nsentence = "It carries on."\n'
        'tasks = ["quadratic"]\nprimary = { statistic = "momentum", at_least = 0.5 }\n'
    )
    store = stored(tmp_path / "store", edition=2)
    page = Page(render(store, path))
    assert "claim-mine" in page.identifiers
    assert "subject-other-claims" in page.identifiers
    assert "claim-momentum" not in page.identifiers
    verdicts = Report(store, path).frame("verdicts")
    assert set(verdicts.edition) == {"mine.toml"}
    assert set(verdicts.claim) == {"mine"}
