"""A run holds the mean of every evaluation to the other implementations'."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loptbench.agreement.losses import draw_problems
from loptbench.cli.run import summarize
from loptbench.comparison.stores import compare
from loptbench.protocol import Array
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.records import TrialStatus
from loptbench.results.store import Store
from loptbench.study.execution import run_trials
from loptbench.study.means import hold_means
from loptbench.study.run import Study
from loptbench.tasks import get_task
from loptbench.tests.study.test_held_to_reference import CHECKPOINT, N_PROBLEMS, Port, trials
from loptbench.tuning.tuned_file import load_tuned

pytestmark = pytest.mark.harness

QUADRATIC = get_task("quadratic")
EVALUATED = [
    *(entry.kind for entry in load_tuned().of(QUADRATIC)),
    *(entry.kind for entry in load_tuned().scheduled(QUADRATIC)),
    "theoretical momentum",
]
"""The baselines of `quadratic` that a study evaluates."""


class Other(Port):
    """A right implementation under another name."""

    name = "other"


def off_on_problems_that_were_not_drawn() -> Callable[[Array], Array]:
    """A fault of the baselines that no sample of their problems sees."""
    seed = int(trials(Port())[0].key.name[:16], 16)
    drawn = draw_problems(N_PROBLEMS, get_task("quadratic").n_parameters, seed)
    is_missed = ~np.isin(np.arange(N_PROBLEMS), drawn)

    def fault(loss: Array) -> Array:
        return np.asarray(np.where(is_missed & (np.arange(len(loss)) > 50)[:, None], 0.5, loss))

    return fault


def study(folder: Path, fault: Callable[[Array], Array] = lambda loss: loss) -> Study:
    """The baselines of `quadratic` in two implementations."""
    store = Store.create(folder)
    records = run_trials([trials(Port(fault))[0], trials(Other())[0]], store, [])
    assert [record.status for record in records] == [TrialStatus.OK] * 2
    means = hold_means(store, records, {"learned": CHECKPOINT}, load_tuned())
    return Study(store, [], records, [], means=means)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("right") / "store")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Study:
    fault = off_on_problems_that_were_not_drawn()
    return study(tmp_path_factory.mktemp("wrong") / "store", fault)


def test_right_implementations_have_the_same_means(right: Study) -> None:
    table = right.store.frame("means")
    assert len(table) == 2 * len(EVALUATED)
    assert table[["implementation", "other"]].drop_duplicates().to_numpy().tolist() == [
        ["port", "other"],
        ["other", "port"],
    ]
    assert set(table["role"]) == {"tuned", "scheduled", "control"}
    assert (table["n_problems"] == N_PROBLEMS).all()
    assert (table["error"] <= table["bound"]).all()
    assert (table["deviation"] == "").all()
    assert right.n_failed == 0


def test_a_fault_that_the_sample_misses_fails_the_run(
    wrong: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {(mean.optimizer, mean.deviation != "") for mean in wrong.means} == {
        (name, is_wrong) for name in EVALUATED for is_wrong in (True, False)
    }
    assert wrong.n_failed == len(EVALUATED) == 8
    with pytest.raises(SystemExit) as exit_status:
        summarize(wrong, None)
    assert exit_status.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("failed: mean of ")]
    assert len(told) == len(EVALUATED)
    assert all("in port" in line and "in other" in line for line in told)
    assert any("but should be" in line for line in told)


def test_a_deviating_mean_is_in_the_comparison_of_stores(right: Study, wrong: Study) -> None:
    comparison = compare(right.store, wrong.store)
    assert (
        comparison.headline()[-1] == f"{len(EVALUATED)} means of evaluations deviate in B, 0 in A"
    )
    assert not any("deviate" in part for part in compare(right.store, right.store).headline())


def test_means_are_computed_once(right: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("loptbench.study.means.compare_means", refuse)
    again = hold_means(right.store, right.records, {}, load_tuned())
    assert again == right.means
    path = right.store.folder / "means.json"
    content = path.read_bytes()
    path.write_text("[1]")
    with pytest.raises(AssertionError, match="computed again"):
        hold_means(right.store, right.records, {}, load_tuned())
    contents = Contents.of(right.store)
    assert frame_of(contents, "means").empty
    assert any("means.json is damaged" in problem for problem in contents.problems)
    path.write_bytes(content)


def test_a_single_implementation_has_no_means_to_be_held_to(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    records = run_trials(trials(Other())[:1], store, [])
    assert hold_means(store, records, {}, load_tuned()) == ()
    assert store.frame("means").empty
