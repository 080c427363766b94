"""The search for hyperparameters: scores, dropped draws, resuming, and the shipped results."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loptbench.discovery import get_implementation, oracle
from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES, HYPERPARAMETERS
from loptbench.storage.files import lock
from loptbench.tasks import Digits, Quadratic, Rosenbrock, TwoMoons, get_task
from loptbench.tests.conformance.planted_base import Sweeping
from loptbench.tests.tuning.scores import direct_score
from loptbench.tuning import search as tuning
from loptbench.tuning.ranges import RANGES, Range, hyperparameters
from loptbench.tuning.search import (
    DrawRunner,
    Draws,
    Settings,
    search,
    uniform,
    winner,
)
from loptbench.tuning.searches import tune
from loptbench.tuning.tuned_file import load_tuned, shipped_path

QUICK = Settings(n_draws=40, n_refining=10, boxes=((3, 0.1), (1, 0.03)), n_problems=5)
FRAMEWORKS = ("torch", "jax")
NETWORKS = ("two_moons", "digits")


def searched(implementation: Any, task: Any, kind: str, chosen: Settings) -> Draws:
    draws = Draws.none(len(HYPERPARAMETERS[kind]))
    for draws in search(implementation, task, kind, chosen, draws):  # noqa: B007, B020
        pass
    return draws


@pytest.mark.harness
@given(place=st.floats(0, 1), kind=st.sampled_from(list(HYPERPARAMETERS)))
def test_ranges_are_logarithmic_and_places_are_told_back(place: float, kind: str) -> None:
    for range_ in RANGES[kind].values():
        value = float(range_.at(np.array(place)))
        assert value >= 0
        if range_.of_complement:
            assert value < 1
        if range_.is_whole:
            assert value <= 1
        assert range_.place(value) == pytest.approx(place, abs=1e-9)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, np.inf)])
def test_empty_ranges_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(LoptbenchError, match="a range needs 0 < low < high"):
        Range(*ends)


def test_decays_above_one_are_refused() -> None:
    with pytest.raises(LoptbenchError, match="at most 1 for 1 − decay"):
        Range(1e-3, 1.5, of_complement=True)


@pytest.mark.parametrize("name", ["n_draws", "n_problems"])
def test_nothing_to_do_is_refused(name: str) -> None:
    with pytest.raises(LoptbenchError, match=f"{name} of the tuner must be at least 1"):
        Settings(**{name: 0})  # type: ignore[arg-type]  # one of two settings that are whole numbers


@pytest.mark.harness
def test_draws_are_uniform_and_the_same_alone_and_together() -> None:
    together = uniform("quadratic", "adam", 0, range(2000))
    assert np.array_equal(together[7:8], uniform("quadratic", "adam", 0, range(7, 8)))
    assert abs(np.mean(together) - 0.5) < 0.02
    assert abs(np.mean(together**2) - 1 / 3) < 0.02
    for stream in (("rosenbrock", "adam", 0), ("quadratic", "adam", 1)):
        assert not np.any(uniform(*stream, range(20)) == together[:20])


@pytest.mark.harness
@pytest.mark.parametrize("kind", [*BASELINES, "cosine_momentum"])
@pytest.mark.parametrize("task", [Quadratic(n_steps=50), Rosenbrock(n_steps=50)], ids=str)
def test_scores_are_those_of_single_runs(kind: str, task: Any) -> None:
    draws = searched(Sweeping(), task, kind, QUICK)
    values = hyperparameters(kind, draws.places)
    for i in [*range(0, 60, 7), int(np.argmin(draws.score))]:
        drawn = {name: float(column[i]) for name, column in values.items()}
        score = direct_score(kind, drawn, task, QUICK)
        if np.isfinite(draws.score[i]):
            assert draws.score[i] == pytest.approx(score, rel=1e-9)
        elif draws.diverged[i]:
            assert not score < 1e300
        else:  # dropped: its bound is a lower bound that exceeds the score to beat
            assert draws.nth_best(1) < draws.bound[i] <= score * (1 + 1e-9)


@pytest.mark.harness
@pytest.mark.parametrize("kind", BASELINES)
def test_dropping_early_does_not_change_the_winner(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MAX_GROUP_SIZE", 4)
    monkeypatch.setattr(tuning, "MAX_BLOCK_SIZE", 8)
    for task in (Quadratic(n_steps=60), Rosenbrock(n_steps=60)):
        quick = searched(Sweeping(), task, kind, QUICK)
        whole = searched(Sweeping(), task, kind, dataclasses.replace(QUICK, drop_early=False))
        assert np.sum(np.isfinite(quick.score)) < np.sum(np.isfinite(whole.score))
        assert np.argmin(quick.score) == np.argmin(whole.score)
        assert quick.best == whole.best


@pytest.mark.slow
@pytest.mark.parametrize("task", [TwoMoons(4, 30, n_steps=20), Digits(2, 5, n_steps=20)], ids=str)
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_frameworks_find_what_the_reference_finds(name: str, task: Any) -> None:
    pytest.importorskip(name)
    for kind in ("momentum", "adam"):
        chosen = Settings(12, 4, ((2, 0.1), (1, 0.03)), n_problems=2, dtype="float32")
        ours, theirs = get_implementation(name), Sweeping()
        draws = searched(ours, task, kind, chosen)
        expected = searched(theirs, task, kind, dataclasses.replace(chosen, dtype="float64"))
        draw, score = winner(ours, task, kind, chosen, draws)
        expected_draw, expected_score = winner(theirs, task, kind, chosen, expected)
        assert draw == expected_draw
        assert score == pytest.approx(expected_score, rel=1e-9)


@pytest.mark.conformance
@pytest.mark.parametrize("name", FRAMEWORKS)
@given(seed=st.integers(0, 100))
@settings(max_examples=3)
def test_frameworks_agree_with_the_loop_draw_by_draw(name: str, seed: int) -> None:
    pytest.importorskip(name)
    task = Rosenbrock(n_steps=40)
    for kind in BASELINES:
        chosen = dataclasses.replace(QUICK, seed=seed, drop_early=False)
        places = uniform(task.name, kind, seed, range(60))
        ours = DrawRunner(get_implementation(name), task, kind, chosen, "float64").run(
            places, np.inf
        )
        theirs = DrawRunner(Sweeping(), task, kind, chosen, "float64").run(places, np.inf)
        # Above 1 the loss grows beyond its start, and rounding errors grow with it.
        sane = theirs.score < 1
        assert np.sum(sane) >= 3
        np.testing.assert_allclose(ours.score[sane], theirs.score[sane], rtol=1e-6)


def test_all_diverged_is_said() -> None:
    draws = Draws(np.zeros((3, 1)), np.full(3, np.inf), np.full(3, np.inf), np.ones(3, bool))
    with pytest.raises(LoptbenchError, match="all 3 draws of sgd on quadratic diverged"):
        winner(Sweeping(), Quadratic(), "sgd", QUICK, draws)


SEARCHES = [(Quadratic(n_steps=30), kind, QUICK) for kind in ("momentum", "rmsprop")]


class StoppedError(Exception):
    pass


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "MAX_GROUP_SIZE", 4)
    monkeypatch.setattr(tuning, "MAX_BLOCK_SIZE", 8)


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_stopped_anywhere_and_called_again_it_ends_with_the_same_bytes(folder: Path) -> None:
    whole = folder / "whole.json"
    tune(Sweeping(), SEARCHES, whole)
    output = folder / "tuned.json"
    calls = 0
    while not output.exists():
        countdown = 3

        def report(_n_done: int, _message: str) -> None:
            nonlocal countdown
            countdown -= 1
            if not countdown:
                raise StoppedError

        calls += 1
        try:
            tune(Sweeping(), SEARCHES, output, report)
        except StoppedError:
            assert not output.exists()
    assert calls > 8
    assert output.read_bytes() == whole.read_bytes()
    assert not list(folder.glob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_killed_and_called_again_it_ends_with_the_same_bytes(folder: Path, name: str) -> None:
    pytest.importorskip(name)
    command = [sys.executable, "-m", "loptbench", "tune", "--implementation", name]
    command += ["--task", "rosenbrock", "--baseline", "adam", "--draws", "1200", "--problems", "8"]
    subprocess.run([*command, "--output", "whole.json"], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "--output", "killed.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    partial = folder / "killed.json.partial"
    while process.poll() is None and not partial.exists():
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert partial.exists()
    assert not (folder / "killed.json").exists()
    subprocess.run([*command, "--output", "killed.json"], check=True, capture_output=True)
    assert (folder / "killed.json").read_bytes() == (folder / "whole.json").read_bytes()


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_a_search_of_another_configuration_is_left_alone(folder: Path) -> None:
    def stop(n_done: int, _message: str) -> None:
        if n_done > 20:
            raise StoppedError

    output = folder / "tuned.json"
    with pytest.raises(StoppedError):
        tune(Sweeping(), SEARCHES, output, stop)
    partial = folder / "tuned.json.partial"
    before = partial.read_bytes()
    changed = [(task, kind, dataclasses.replace(QUICK, seed=1)) for task, kind, _ in SEARCHES]
    with pytest.raises(LoptbenchError, match=r"another configuration \(another searches\)"):
        tune(Sweeping(), changed, output)
    assert partial.read_bytes() == before
    partial.write_text(partial.read_text()[:100])
    with pytest.raises(LoptbenchError, match="is damaged"):
        tune(Sweeping(), SEARCHES, output)


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_a_search_in_use_is_refused(folder: Path) -> None:
    output = folder / "tuned.json"
    with (
        lock(folder / "tuned.json.partial", "a search"),
        pytest.raises(LoptbenchError, match=r"partial is in use by a search in another process"),
    ):
        tune(Sweeping(), SEARCHES, output)
    assert tune(Sweeping(), SEARCHES, output).matches(Sweeping(), SEARCHES)


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_it_is_known_which_searches_a_file_is_of(folder: Path) -> None:
    tuned = tune(Sweeping(), SEARCHES, folder / "tuned.json")
    assert tuned.matches(Sweeping(), SEARCHES)
    assert not tuned.matches(Sweeping(), SEARCHES[:-1])
    changed = [(task, kind, dataclasses.replace(QUICK, seed=1)) for task, kind, _ in SEARCHES]
    assert not tuned.matches(Sweeping(), changed)

    class Other(Sweeping):
        name = "other"

    assert not tuned.matches(Other(), SEARCHES)


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_how_many_groups_are_computed_at_once_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2, 5):
        monkeypatch.setattr(tuning, "N_GROUP_THREADS", n)
        tune(Sweeping(), SEARCHES, folder / f"{n}.json")
    assert len({path.read_bytes() for path in folder.glob("*.json")}) == 1


@pytest.mark.harness
@pytest.mark.usefixtures("small_blocks")
def test_the_best_baseline_with_each_schedule_is_told_apart(folder: Path) -> None:
    task = Quadratic(n_steps=30)
    kinds = ("momentum", "cosine_sgd", "cosine_momentum", "exponential_sgd")
    tuned = tune(Sweeping(), [(task, kind, QUICK) for kind in kinds], folder / "tuned.json")
    assert [entry.kind for entry in tuned.of(task)] == ["momentum"]
    cosine, exponential = tuned.scheduled(task)
    scores = {entry.kind: entry.score for entry in tuned.entries}
    assert cosine.score == min(scores["cosine_sgd"], scores["cosine_momentum"])
    assert exponential.kind == "exponential_sgd"
    assert cosine.spec.constants == {"n_steps": 30.0}
    assert "final" not in cosine.on_edge
    # A schedule is a choice more, and here it is worth it.
    assert scores["cosine_momentum"] < 1.05 * scores["momentum"]


def test_a_result_is_not_overwritten(folder: Path) -> None:
    (folder / "tuned.json").write_text("mine")
    with pytest.raises(LoptbenchError, match="exists and is not overwritten"):
        tune(Sweeping(), SEARCHES, folder / "tuned.json")
    assert (folder / "tuned.json").read_text() == "mine"


@pytest.mark.harness
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "holds no tuned baselines"),
        ('{"format": "loptbench-tuned", "format_version": 9}', "has format version 9"),
        ('{"format": "loptbench-tuned", "format_version": 1}', "is damaged"),
    ],
)
def test_files_that_hold_no_tuned_baselines(folder: Path, content: str, message: str) -> None:
    (folder / "t.json").write_text(content)
    with pytest.raises(LoptbenchError, match=message):
        load_tuned(folder / "t.json")
    with pytest.raises(LoptbenchError, match="cannot be read"):
        load_tuned(folder / "nothing.json")


def test_a_file_with_hyperparameters_out_of_range_is_refused(folder: Path) -> None:
    value = json.loads(shipped_path("jax").read_text())
    value["entries"][0]["hyperparameters"]["alpha"] = -1.0
    (folder / "t.json").write_text(json.dumps(value))
    with pytest.raises(LoptbenchError, match=r"t\.json: alpha of .* must be above 0"):
        load_tuned(folder / "t.json")


def test_baselines_of_other_problems_are_refused() -> None:
    shipped = load_tuned()
    with pytest.raises(LoptbenchError, match=r"tuned on another 'quadratic' \(another n_steps\)"):
        shipped.of(Quadratic(n_steps=7))
    with pytest.raises(LoptbenchError, match="has no baselines tuned on 'digits'"):
        dataclasses.replace(shipped, entries=[]).of(get_task("digits"))


@pytest.mark.harness
def test_the_oracle_needs_no_sweep_of_its_own() -> None:
    task = Quadratic(n_steps=20)
    ours = searched(oracle(), task, "sgd", QUICK)
    theirs = searched(Sweeping(), task, "sgd", QUICK)
    assert np.array_equal(ours.score, theirs.score)
