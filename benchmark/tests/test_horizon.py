"""Runs of several lengths: what the table holds is what single runs give, and what is shipped."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from loptbench.cli.main import cli
from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError
from loptbench.horizon import COLUMNS, MULTIPLES, measure, members, shipped
from loptbench.optimizers import baseline
from loptbench.reports.horizon import over_seeds, write
from loptbench.rollout.trajectory import meta_objective, run
from loptbench.tasks import Quadratic
from loptbench.tests.tuning.scores import made_entry
from loptbench.tuning.tuned_file import Tuned
from loptbench.zoo.catalogue import shipped as checkpoint

pytestmark = pytest.mark.harness

N_PROBLEMS = 3


TUNED = Tuned(
    [
        made_entry(Quadratic(), "sgd", 0.5, alpha=1.0),
        made_entry(Quadratic(), "momentum", 0.1, alpha=3.0, beta=0.8),
        made_entry(Quadratic(), "cosine_momentum", 0.2, alpha=3.0, beta=0.8, final=0.1),
        made_entry(Quadratic(), "cosine_sgd", 0.3, alpha=1.0, final=0.1),
    ],
    {},
    "made",
)


def test_the_numbers_are_those_of_single_runs() -> None:
    table = measure(
        members(["quadratic"])[:1],
        multiples=(2, 1),
        implementation="reference",
        n_problems=N_PROBLEMS,
        tuned=TUNED,
    )
    assert list(table.columns) == list(COLUMNS)
    assert table[["family", "multiple"]].to_numpy().tolist() == [
        *(["tuned", 1], ["tuned", 2]),
        *(["scheduled", 1], ["scheduled", 2]),
    ]
    batch = Quadratic().sample("evaluate", 0, range(N_PROBLEMS))
    learned = checkpoint(table["optimizer"].iloc[0]).optimizer.rounded_to("float64")
    for row in table.itertuples():
        assert row.n_steps == 201 * row.multiple
        plain = {"alpha": 3.0, "beta": 0.8}
        expected = {
            "momentum": baseline("momentum", **plain),
            # Its schedule spans the run, however long it is.
            "cosine_momentum": baseline("cosine_momentum", n_steps=row.n_steps, **plain, final=0.1),
        }[row.baseline]
        losses = [run(oracle(), spec, batch, row.n_steps).loss for spec in (learned, expected)]
        objectives = [np.mean(meta_objective(loss)) for loss in losses]
        last = [np.mean(loss[-1]) for loss in losses]
        numbers = [row.objective, row.objective_of_baseline, row.last_loss]
        assert numbers == pytest.approx([*objectives, last[0]], rel=1e-9)
        assert row.ratio == pytest.approx(objectives[0] / objectives[1], rel=1e-9)
        assert row.last_ratio == pytest.approx(last[0] / last[1], rel=1e-9)
        assert row.ratio_low <= row.ratio <= row.ratio_high
        assert row.n_diverged == 0


def test_seeds_that_are_kept_for_confirmation_are_left_out() -> None:
    assert {member.seed for member in members()} <= set(range(10))
    assert {member.task for member in members(["digits"])} == {"digits"}


@pytest.mark.parametrize("multiples", [(), (0, 1)])
def test_nothing_to_run_is_refused(multiples: tuple[int, ...]) -> None:
    with pytest.raises(LoptbenchError, match="nothing to run"):
        measure(members(["quadratic"]), multiples=multiples)
    with pytest.raises(LoptbenchError, match="nothing to run"):
        measure([])


def test_what_is_shipped_holds_every_length_of_every_seed() -> None:
    table = shipped()
    assert list(table.columns) == list(COLUMNS)
    for _, own in table.groupby(["optimizer", "family"]):
        assert own["multiple"].tolist() == list(MULTIPLES)
    assert table["seed"].max() < 10
    assert np.all(table["n_steps"] % table["multiple"] == 0)
    lows, highs = table["ratio_low"].dropna(), table["ratio_high"].dropna()
    assert np.all(lows <= table["ratio"].loc[lows.index])
    assert np.all(highs >= table["ratio"].loc[highs.index])


@pytest.mark.slow
def test_one_measured_again_is_as_shipped() -> None:
    pytest.importorskip("jax")
    stored = shipped()
    first = next(m for m in members(["rosenbrock"]) if m.name in {*stored["optimizer"]})
    again = measure([first])
    stored = stored[stored["optimizer"] == first.name].reset_index(drop=True)
    assert again["baseline"].tolist() == stored["baseline"].tolist()
    np.testing.assert_allclose(again["ratio"], stored["ratio"], rtol=1e-3)


def test_the_page_and_the_command(tmp_path: Path) -> None:
    pytest.importorskip("seaborn")
    table = shipped()
    page = write(table, tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert all(f"<td>{name}</td>" in page for name in table["optimizer"])
    assert len(over_seeds(table)) == len(table.groupby(["task", "preset", "family", "multiple"]))
    output = tmp_path / "table.csv"
    arguments = ["horizon", "--shipped", "--task", "quadratic", "--output", str(output)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert len(output.read_text().splitlines()) == 1 + sum(table["task"] == "quadratic")
    for options, message in (
        (["--task", "nosuch"], "unknown task 'nosuch'"),
        (["--preset", "quick"], "--preset does not go with --shipped"),
        (["--multiple", "2"], "--multiple does not go with --shipped"),
        (["--output", str(tmp_path / "nowhere" / "x")], "choose a folder that exists"),
    ):
        result = CliRunner().invoke(cli, [*arguments[:2], *options])
        assert result.exit_code != 0
        assert message in f"{result.output}{result.exception}"
    result = CliRunner().invoke(cli, ["horizon", "--preset", "nope", "--output", str(output)])
    assert "the zoo has no gru of any task with the preset nope" in str(result.exception)
