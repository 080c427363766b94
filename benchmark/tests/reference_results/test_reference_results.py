"""The reference results belong to this version; a run is compared with them."""

from pathlib import Path

import numpy as np
import pytest

from loptbench.claims.catalogue import LATEST, load_edition
from loptbench.errors import LoptbenchError, StoreError
from loptbench.reference_results import about, comparison, table, tables
from loptbench.reference_results.comparison import OUTSIDE, SAME, WITHIN, compare_with_reference
from loptbench.results.schema.evaluation import LearnedResult
from loptbench.results.schema.verdicts import Scope
from loptbench.results.store import FORMAT_VERSION, Record, Store
from loptbench.storage.weights import weights_hash
from loptbench.tasks import TASKS, get_task
from loptbench.tests.fixture_types import Make
from loptbench.tests.reports.made_records import IN_A, baselines, changed, evaluation, verdict
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import names, shipped

pytestmark = pytest.mark.harness

EVALUATIONS = table("evaluations")

STANDARD_ERROR = 0.6455
"""That of the mean of IN_A, which is 1, 2, 3, 4: √(5/3) / √4. The bound is 1.265."""


def with_error(record: Record) -> Record:
    """The evaluation with a standard error of its mean."""
    assert isinstance(record.result, LearnedResult)
    learned = record.result.learned.model_copy(update={"objective_standard_error": STANDARD_ERROR})
    return changed(record, result=record.result.model_copy(update={"learned": learned}))


def test_they_are_of_the_current_claims_and_format() -> None:
    assert about().claims == str(LATEST)
    assert about().store_format == FORMAT_VERSION
    edition = load_edition(LATEST)
    verdicts = table("verdicts").query(f"scope == {str(Scope.ALL_SEEDS)!r} and preset == 'quick'")
    assert {*verdicts["claim"]} == {claim.name for claim in edition.claims}
    thresholds = verdicts.drop_duplicates("claim").set_index("claim")
    for claim in edition.claims:
        for name in ("at_least", "at_most"):
            expected = getattr(claim.primary, name)
            assert thresholds.loc[claim.name, name] == pytest.approx(
                np.nan if expected is None else expected, nan_ok=True
            )


def test_they_are_of_the_shipped_learned_optimizers() -> None:
    learned = EVALUATIONS[EVALUATIONS["role"] == "checkpoint"]
    assert {*learned["optimizer"]} == {*names()}
    expected = {
        (name, dtype): weights_hash(shipped(name).optimizer.rounded_to(dtype))
        for name, dtype in {*zip(learned["optimizer"], learned["dtype"], strict=True)}
    }
    for row in learned.itertuples():
        assert row.subject == expected[row.optimizer, row.dtype], row.optimizer


@pytest.mark.parametrize("task", TASKS)
def test_they_are_of_the_shipped_baselines(task: str) -> None:
    tuned = EVALUATIONS[(EVALUATIONS["role"] == "tuned") & (EVALUATIONS["task"] == task)]
    for baseline in load_tuned().of(get_task(task)):
        (subject,) = tuned[tuned["optimizer"] == baseline.kind]["subject"].unique()
        assert subject == weights_hash(baseline.spec)


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(LoptbenchError, match="no table 'losses'; there are verdicts"):
        table("losses")


@pytest.fixture
def reference(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reference results of a store with two evaluations and a verdict."""
    store = make(
        "reference", [with_error(evaluation()), baselines()], verdict(seeds=(0, 1), n_seeds=2)
    )
    tables.make(store, tmp_path / "data")
    monkeypatch.setattr(tables, "_data", lambda name: tmp_path / "data" / name)
    return tmp_path / "data"


def test_they_are_what_the_store_holds(reference: Path, make: Make) -> None:
    store = make("again", [with_error(evaluation()), baselines()], verdict(seeds=(0, 1), n_seeds=2))
    compared = compare_with_reference(store)
    assert {*compared.objectives["agreement"]} == {SAME}
    assert [*compared.verdicts["same"]] == [True]
    assert (compared.n_other, compared.agrees, compared.other_facts) == (0, True, {})
    tables.make(store, reference.parent / "again-data")
    for file in reference.iterdir():
        assert file.read_bytes() == (reference.parent / "again-data" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("added", "agreement"), [(1e-6, SAME), (1e-2, WITHIN), (1.2, WITHIN), (1.3, OUTSIDE)]
)
@pytest.mark.usefixtures("reference")
def test_a_mean_agrees_if_it_moves_by_less_than_other_problems_would_move_it(
    make: Make, added: float, agreement: str
) -> None:
    compared = compare_with_reference(make("here", [evaluation([x + added for x in IN_A])]))
    (row,) = compared.objectives.itertuples()
    assert row.agreement == agreement
    assert compared.agrees == (agreement != OUTSIDE)
    lines = comparison.in_words(compared)
    assert agreement in lines[0]
    assert any("in the reference results 2.5 ± 1.3" in line for line in lines[1:]) == (
        agreement == OUTSIDE
    )


@pytest.mark.usefixtures("reference")
def test_another_outcome_is_told(make: Make) -> None:
    other = verdict("not reproduced", seeds=(0, 1), n_seeds=2)
    compared = compare_with_reference(make("here", [evaluation()], other))
    assert not compared.agrees
    lines = comparison.in_words(compared)
    assert "0 of 1 verdicts have the same outcome" in lines[0]
    assert "not reproduced" in lines[1]
    assert "in the reference results reproduced" in lines[1]


@pytest.mark.usefixtures("reference")
def test_a_run_that_diverges_here_alone_is_told(make: Make) -> None:
    compared = compare_with_reference(make("here", [evaluation([None, *IN_A[1:]])]))
    assert [*compared.objectives["agreement"]] == [OUTSIDE]


@pytest.mark.parametrize(
    "here",
    [
        evaluation(seed=1),
        evaluation(weights="other"),
        evaluation(problems={"name": "quadratic", "n_steps": 7}),
    ],
    ids=["seed", "weights", "definition"],
)
@pytest.mark.usefixtures("reference")
def test_what_is_something_else_is_not_compared(make: Make, here: Record) -> None:
    of_others = verdict(seeds=(0, 1), n_seeds=2)
    compared = compare_with_reference(make("here", [here], of_others))
    assert (len(compared.objectives), len(compared.verdicts), compared.n_other) == (0, 0, 1)
    assert comparison.in_words(compared)[0].endswith("nothing of this run is among them")


@pytest.mark.usefixtures("reference")
def test_verdicts_on_other_seeds_are_not_compared(make: Make) -> None:
    compared = compare_with_reference(make("here", [evaluation()], verdict(seeds=(0,), n_seeds=1)))
    assert compared.verdicts.empty


def test_reference_results_of_part_of_a_run_are_refused(make: Make, tmp_path: Path) -> None:
    store = make("part", [evaluation(), baselines()], verdict())
    first = next((store.folder / "records").iterdir())
    first.unlink()
    with pytest.raises(StoreError, match="1 trials were not run"):
        tables.make(Store.open(store.folder), tmp_path / "data")
