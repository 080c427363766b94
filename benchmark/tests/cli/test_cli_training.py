"""The command: meta-training, tuning, timing, the zoo, and reproducing from scratch."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from loptbench.results.store import Store
from loptbench.storage.weights import load_checkpoint
from loptbench.study.run import Selection
from loptbench.study.trials import Trial
from loptbench.tests.fixture_types import Command
from loptbench.tests.reports.made_records import changed, conformance
from loptbench.timing.outer_steps import outer_steps, peak_memory_of, whole_trainings
from loptbench.training.settings import MetaTraining
from loptbench.zoo.catalogue import shipped, zoo

CHECKPOINT = "quadratic-quick-jax-0"
FRAMEWORKS = ("torch", "jax")
FAULTS = "loptbench.tests.conformance.planted_faults"
TUNE = ("--implementation", "reference", "--output", "t.json")


def test_meta_train(command: Command, folder: Path) -> None:
    config = MetaTraining(n_units=2, n_outer_steps=3, batch_size=2, n_steps=4, dtype="float64")
    given = config.model_dump(exclude={"task"}, exclude_none=True)
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
    (folder / "tiny.toml").write_text("\n".join(lines))
    settings = ("--config", "tiny.toml")
    arguments = ("meta-train", "quadratic", "--implementation", "reference", *settings)
    code, out, err = command(*arguments, "--seed", "4")
    assert code == 0, err
    assert out.splitlines()[-1] == "quadratic-own-reference-4.safetensors"
    checkpoint = load_checkpoint("quadratic-own-reference-4.safetensors")
    assert checkpoint.meta_training["configuration"]["seed"] == 4
    before = Path("quadratic-own-reference-4.safetensors").stat()
    code, again, err = command(*arguments, "--seed", "4")
    assert (code, again) == (0, out)
    assert "meta-training: 3/3 done already" in err
    assert Path("quadratic-own-reference-4.safetensors").stat().st_mtime_ns == before.st_mtime_ns
    code, _, err = command(*arguments, "--seed", "4", "--units", "3")
    assert code == 2
    assert "exists and is not overwritten: it was made with n_units = 2, not 3; name" in err
    arguments = ("meta-train", "quadratic", "--implementation", f"{FAULTS}:Faultless", *settings)
    code, out, err = command(*arguments, "--seed", "6", "--seed", "5", "--seed", "6")
    assert code == 0, err
    made = [f"quadratic-own-faultless-{seed}.safetensors" for seed in (6, 5)]
    assert out.splitlines()[1::2] == made
    seeds = [load_checkpoint(name).meta_training["configuration"]["seed"] for name in made]
    assert seeds == [6, 5]


@pytest.mark.harness
def test_tune_then_run_with_what_was_found(command: Command, folder: Path) -> None:
    arguments = ["tune", "--task", "quadratic", "--draws", "30", "--problems", "3"]
    code, out, err = command(*arguments, "--baseline", "sgd", *TUNE)
    assert code == 0, err
    assert re.search(r"quadratic +sgd +0\.\d+ +alpha = \S+ of 1e-05 to 100", out)
    assert "every optimum lies inside its range" in out
    assert re.search(r"tuning: \d+/51 ", err)  # 30 draws, and 7 in each of three refining stages
    assert out.splitlines()[-1] == "t.json"
    code, again, err = command(*arguments, "--baseline", "sgd", *TUNE)
    assert (code, again) == (0, out)
    assert re.search(r"tuning: (\d+)/\1 done already", err)
    code, _, err = command(*arguments, "--baseline", "momentum", *TUNE)
    assert code == 2
    assert "t.json exists and is not overwritten" in err
    run = ["run", "--implementation", "reference", "--tuned", "t.json"]
    code, _, err = command(*run, "--task", "rosenbrock")
    assert code == 2
    assert "t.json has no baselines tuned on 'rosenbrock'; make them with 'loptbench tune" in err
    assert not Path("loptbench-results").exists()


def test_perf(command: Command) -> None:
    for name in FRAMEWORKS:
        pytest.importorskip(name)
    arguments = ("perf", "tune", "--task", "quadratic", "--baseline", "sgd", "--repeats", "1")
    code, out, err = command(*arguments)
    assert code == 0, err
    for name in FRAMEWORKS:
        assert re.search(rf"^quadratic +sgd +{name} .* [\d,]+$", out, re.MULTILINE)
    code, out, _ = command(*arguments, "--implementation", "torch", "--json")
    (row,) = json.loads(out)["tuning"]
    assert row["n_draws"] * row["n_problems"] > 1000
    assert row["ratio"] == pytest.approx(row["per_second"] / row["plain_per_second"])


def test_perf_of_what_has_no_sweeps_is_refused(command: Command) -> None:
    pytest.importorskip("torch")
    code, _, err = command("perf", "tune", "--implementation", "reference")
    assert code == 2
    assert "reference offers no sweeps" in err


@pytest.mark.harness
def test_perf_of_the_start(command: Command) -> None:
    code, out, err = command("perf", "start", "--repeats", "1", "--json")
    assert code == 0, err
    rows = json.loads(out)["start"]
    assert [row["command"] for row in rows] == ["--help", "list", "info"]
    assert all(row["ratio"] == row["seconds"] / row["reference_seconds"] > 0 for row in rows)


@pytest.mark.harness
def test_perf_of_analyses(command: Command) -> None:
    code, out, err = command("perf", "analyze", "sgd:alpha=0.1", "--repeats", "1", "--json")
    assert code == 0, err
    (row,) = json.loads(out)["analyses"]
    assert row["optimizer"] == "sgd:alpha=0.1"
    assert row["task"] == "quadratic"
    assert row["seconds"] > 0
    assert row["products_seconds"] is None


@pytest.mark.harness
def test_perf_of_a_study(command: Command, tmp_path: Path) -> None:
    """Compilation is apart where it was measured; all trials count."""
    store = Store.create(tmp_path / "results")
    measured = {"seconds": 3.0, "compile_seconds": 2.0}
    trials = [
        (conformance(seed=0), measured),
        (conformance(seed=1), measured),
        (conformance(seed=2, task="rosenbrock"), {"seconds": 2.0}),
    ]
    for record, durations in trials:
        store.put(changed(record, provenance=record.provenance.model_copy(update=durations)))
    code, out, err = command("perf", "study", str(store.folder), "--json")
    assert code == 0, err
    first, second = json.loads(out)["study"]
    assert (first["task"], first["trials"], first["longest"]) == ("quadratic", 2, 3.0)
    assert (first["seconds"], first["compiling"], first["computing"]) == (6.0, 4.0, 2.0)
    assert (second["task"], second["seconds"], second["compiling"]) == ("rosenbrock", 2.0, None)
    assert [first["share"], second["share"]] == [0.75, 0.25]
    code, out, _ = command("perf", "study", str(store.folder))
    assert code == 0
    assert out.startswith("3 trials took 8.0 s in all, 4.0 s of it compilation;")
    assert re.search(r"^conformance +jax +rosenbrock +1 +2\.0 +– +– +2\.0 +25\.0$", out, re.M)
    code, _, err = command("perf", "study", str(tmp_path / "none"))
    assert code == 2
    assert "does not exist" in err


def test_perf_of_fixed_points(command: Command) -> None:
    code, out, err = command("perf", "fixed-points", "--units", "2", "--json")
    assert code == 0, err
    (sweep,) = json.loads(out)["fixed_points"]
    assert (sweep["n_units"], sweep["n_gradients"], sweep["found"]) == (2, 200, 200)
    assert sweep["residual"] <= 1e-12
    assert sweep["descent_residual"] > 1e6 * sweep["residual"]


def test_perf_of_meta_training(command: Command) -> None:
    for name in FRAMEWORKS:
        pytest.importorskip(name)
    arguments = ("perf", "meta-train", "--task", "rosenbrock", "--units", "3", "--repeats", "1")
    code, out, err = command(*arguments)
    assert code == 0, err
    for name in FRAMEWORKS:
        assert re.search(rf"^rosenbrock +3 +{name}( +[\d.]+){{6}} *$", out, re.MULTILINE)
    code, out, _ = command(*arguments, "--implementation", "reference", "--json")
    (row,) = json.loads(out)["outer_steps"]
    assert row["floor_seconds"] is None
    assert row["n_components"] == 128
    tiny = MetaTraining(n_units=2, batch_size=2, n_steps=3, validate_every=2, validation_size=2)
    [whole] = whole_trainings(("reference",), [tiny], 1)
    assert whole["whole_over_steps"] > 0
    timed = outer_steps(("reference", *FRAMEWORKS), tiny, 1, with_references=False, n_seeds=3)
    assert [(row.implementation, row.n_components) for row in timed] == [
        (name, 3 * 2 * 5)
        for name in FRAMEWORKS  # the reference does not offer it
    ]


@pytest.mark.harness
def test_peak_memory_is_that_of_the_outer_steps_not_of_who_asks() -> None:
    config = MetaTraining(n_units=32, dtype="float64")
    trajectory_size = config.n_steps * config.batch_size * 5 * config.n_units * 8 / 2**30
    held = np.ones(2**27)  # 1 GiB, held by this process only
    peak = peak_memory_of("reference", config)
    assert trajectory_size < peak < held.nbytes / 2**30


def test_the_zoo_is_listed_and_verified(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = command("zoo", "list")
    assert code == 0
    assert re.search(rf"^{CHECKPOINT} +64 +2500 ", out, re.MULTILINE)
    # The units, not the numbers of a state; the outer steps taken, not those allowed.
    assert re.search(r"^quadratic-quick-lstm-jax-0 +64 +2500 ", out, re.MULTILINE)
    assert re.search(r"^quadratic-standard-jax-0 +64 +2850 ", out, re.MULTILINE)
    pytest.importorskip("jax")
    member = next(member for member in zoo() if member.task == "rosenbrock")
    monkeypatch.setattr("loptbench.cli.zoo.all_members", lambda: [member])
    code, out, err = command("zoo", "verify", "--task", "rosenbrock", "--jobs", "1")
    assert code == 0, err
    assert re.search(rf"^{member.name} .* 0\.\d+ \[0\.\d+, 0\.\d+\] better$", out, re.MULTILINE)
    assert "seeds that beat the best tuned baseline" in out
    group = rf"{member.task} +{member.preset} +gru +{member.implementation} +exploratory"
    assert re.search(rf"^{group} +\w+ +1 +1$", out, re.MULTILINE)
    # A file that records a wrong validation objective is reported.
    true = shipped(member.name)
    false_record = {
        **true.meta_training,
        "best_validation": 0.9 * true.meta_training["best_validation"],
    }
    misrecorded = dataclasses.replace(true, meta_training=false_record)
    monkeypatch.setattr("loptbench.zoo.verification.shipped", lambda _: misrecorded)
    code, out, _ = command("zoo", "verify", "--task", "rosenbrock", "--jobs", "1")
    assert code == 1
    assert f"not as recorded: {member.name}" in out


@pytest.mark.slow
def test_reproduce_from_scratch_and_again(command: Command) -> None:
    """All steps but measuring, with tiny settings. The second call reuses the first one's files."""
    pytest.importorskip("torch")
    arguments = ["reproduce", "--from-scratch", "--implementation", "torch"]
    arguments += ["--task", "rosenbrock", "--outer-steps", "1", "--draws", "30"]
    arguments += ["--seed", "0", "--seed", "12"]
    planned: list[list[Trial]] = []

    def plan_only(_store: Path, selection: Selection, _jobs: int) -> None:
        planned.append(selection.trials())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loptbench.study.reproduce.measure", plan_only)
        patch.setattr("loptbench.cli.reproduce.summarize", lambda *_: None)
        for _ in range(2):
            code, _, err = command(*arguments)
            assert code == 0, err
    made = Path("loptbench-reproduction")
    names = {"rosenbrock-quick-torch-0", "rosenbrock-quick-torch-12"}
    assert {path.stem for path in made.glob("*.safetensors")} == names
    assert (made / "tuned.json").exists()
    first, again = ([trial.key for trial in trials] for trials in planned)
    assert first == again
    assert names <= {key.optimizer.name for key in first}
    code, _, err = command(*arguments, "--outer-steps", "2")
    assert code == 2
    assert "was made with n_outer_steps = 1, not 2; name another --folder, or move it" in err
    for more in (("--draws", "31"), ("--task", "quadratic")):
        code, _, err = command(*arguments, *more)
        assert code == 2
        assert "tuned.json is of other searches" in err
    assert not list(made.glob("quadratic*"))  # the call is refused before anything is meta-trained


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "paper"], "--preset goes with --from-scratch only"),
        (["--outer-steps", "3"], "--outer-steps goes with --from-scratch only"),
        (["--whole-zoo"], "--whole-zoo goes with --from-scratch only"),
        (["--from-scratch", "--whole-zoo", "--seed", "1"], "--seed does not go with --whole-zoo"),
    ],
)
def test_reproduce_refuses_what_it_would_not_use(
    command: Command, folder: Path, options: list[str], message: str
) -> None:
    code, _, err = command("reproduce", *options)
    assert code == 2
    assert message in err
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "slow"], "unknown preset 'slow'; known are: paper, quick"),
        (["--device", "cuda"], "reference has no device 'cuda' here, only cpu; 'cuda' needs a GPU"),
        (["--output", "nowhere/x.safetensors"], "choose a folder that exists and is writable"),
        (["--seed", "1", "--seed", "2"], "does not meta-train several seeds side by side"),
        (["--seed", "1", "--seed", "2", "--output", "x"], "--output names one file, but there are"),
    ],
)
def test_meta_train_with_bad_input(command: Command, arguments: list[str], message: str) -> None:
    ours = ("meta-train", "rosenbrock", "--implementation", "reference", "--dtype", "float64")
    code, _, err = command(*ours, *arguments)
    assert code == 2
    assert message in err


def test_meta_tune(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that it finds are a file for `meta-train`."""
    small = MetaTraining(batch_size=2, n_steps=4, dtype="float64", validation_size=4)
    monkeypatch.setattr(
        "loptbench.training.run.load_preset",
        lambda _, task, given: small.model_copy(update={"task": task, **given}),
    )
    sizes = ("--draws", "3", "--rounds", "2", "--first-steps", "2", "--units", "2", "--jobs", "1")
    arguments = ("meta-tune", "rosenbrock", "--implementation", "reference", *sizes)
    code, out, err = command(*arguments)
    assert code == 0, err
    assert re.search(r"draw \d of 3 validated best: \S+, the mean over 3 seeds after 6 outer", out)
    assert out.splitlines()[-1] == "rosenbrock-meta-tuned.toml"
    code, first, err = command(*arguments)
    assert (code, first) == (0, out)
    assert re.search(r"searching: (\d+)/\1 done already", err)
    code, _, err = command(*arguments, "--seed", "1")
    assert code == 2
    assert "rosenbrock-meta-tuned.json exists and is not overwritten" in err
    code, _, err = command(*arguments, "--range", "decay=0.5:0.1")
    assert code == 2
    assert "the range of decay is upside down: give decay=0.1:0.5" in err
    code, _, err = command(*arguments, "--range", "decay=0.1:0.1")
    assert code == 2
    assert "the range of decay is empty; give two ends" in err
    narrow = ("--range", "decay=0.2:0.3", "--output", "narrow.json")
    code, out, err = command(*arguments, *narrow)
    assert code == 0, err
    assert 0.2 <= tomllib.loads((folder / "narrow.toml").read_text())["decay"] <= 0.3
    (folder / "rosenbrock-meta-tuned.toml").write_text("mine = 1")
    code, _, err = command(*arguments)
    assert code == 2
    assert "rosenbrock-meta-tuned.toml exists and is not overwritten" in err
    (folder / "rosenbrock-meta-tuned.toml").unlink()
    assert command(*arguments)[:2] == (0, first)  # it is written again
    lstm = ("--architecture", "lstm", "--output", "lstm.json")
    code, out, err = command(*arguments, *lstm)
    assert code == 0, err
    assert tomllib.loads((folder / "lstm.toml").read_text())["architecture"] == "lstm"
    found = ("--config", "rosenbrock-meta-tuned.toml", "--outer-steps", "1")
    code, out, err = command("meta-train", "rosenbrock", "--implementation", "reference", *found)
    assert code == 0, err
