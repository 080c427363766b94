"""The command: what it prints, what it refuses, and its exit codes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from loptbench.errors import LoptbenchError
from loptbench.optimizers import random_gru
from loptbench.results.store import Store
from loptbench.rollout import held_out
from loptbench.rollout.held_out import HeldOut
from loptbench.rollout.trajectory import load_trajectory
from loptbench.storage.weights import Checkpoint, save_checkpoint
from loptbench.tasks import TASKS
from loptbench.tests.fixture_types import Command
from loptbench.zoo.catalogue import shipped_path

CHECKPOINT = "quadratic-quick-jax-0"
FAULTS = "loptbench.tests.conformance.planted_faults"
BROKEN = "loptbench.tests.conformance.broken_implementations"


def test_help_lists_the_commands_and_exit_codes(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for name in [
        "run",
        "reproduce",
        "report",
        "list",
        "check",
        "meta-train",
        "meta-tune",
        "tune",
        "analyze",
        "zoo",
        "perf",
        "info",
    ]:
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
    assert "Exit codes: 0" in out


def test_list(command: Command) -> None:
    code, out, _ = command("list")
    assert code == 0
    assert re.search(r"reference +installed", out)
    assert re.search(r"torch +(installed|not installed)", out)
    assert "quadratic" in out
    assert "teacher-forced" in out


def test_info(command: Command) -> None:
    code, out, _ = command("info")
    assert code == 0
    for word in ("loptbench", "python", "numpy", "commit", f"checkpoint   {CHECKPOINT}: 64 units"):
        assert word in out
    if "torch" in out and find_spec("torch") is not None:
        assert "threads: one in outer steps on fewer than 32,768 numbers of state" in out


TUNE = ("--implementation", "reference", "--output", "t.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "tinygrad"], "unknown implementation 'tinygrad'; known are"),
        (["check", "no_such:Thing"], "there is no module 'no_such'"),
        (["check", f"{BROKEN}:Nobody"], "has no 'Nobody'"),
        (["check", "reference", "--only", "luck"], "Invalid value for '--only'"),
        (["check", f"{BROKEN}:StepOnly", "--only", "outer-steps"], "nothing was checked"),
        (["check", "reference", "--dtype", "float32"], "nothing was checked"),
        (["analyze", "none.safetensors"], "none.safetensors does not exist"),
        (["analyze", CHECKPOINT, "--gradients", "1,x"], "the gradient 'x' is not a number"),
        (["analyze", CHECKPOINT, "--gradients", ""], "no gradient is given"),
        (["analyze", CHECKPOINT, "--gradients", "1,0"], "the gradient 0 is zero"),
        (["analyze", CHECKPOINT, "--gradients", "nan"], "the gradient nan is not finite"),
        (["analyze", CHECKPOINT, "--gradients", "1,1.0"], "the gradient 1 is given twice"),
        (["analyze", "."], "is a folder, not a file"),
        (["analyze", "momentum:alpha=0.1"], "momentum takes alpha, beta"),
        (["analyze", "momentum:alpha=x,beta=1"], "is not of the form alpha=0.1,beta=0.1"),
        (["analyze", "gru:a=1"], "'gru' has no hyperparameters; give a checkpoint file"),
        (["analyze", CHECKPOINT, "--task", "cubic"], "unknown task 'cubic'"),
        (["analyze", CHECKPOINT, "--implementation", "x"], "unknown implementation 'x'"),
        (["analyze", f"{BROKEN}:StepOnly"], "is not an optimizer: it has no initial_state"),
        (["report", "nowhere"], "nowhere does not exist; make one with 'loptbench run"),
        (["run", "--implementation", "x"], "unknown implementation 'x'"),
        (["run", "--checkpoint", "x"], "x does not exist"),
        (["run", "--frobnicate"], "No such option"),
        (["run", "--task", "cubic"], "unknown task 'cubic'"),
        (["run", "--tuned", "nothing.json"], "nothing.json cannot be read"),
        (["run", "--mnist", "nowhere"], "nowhere is not a folder"),
        (["tune", "--task", "cubic"], "unknown task 'cubic'"),
        (["tune", "--baseline", "lion"], "Invalid value for '--baseline'"),
        (["tune", "--draws", "0", *TUNE], "n_draws of the tuner must be at least 1"),
        (["tune", "--problems", "0", *TUNE], "n_problems of the tuner must be at least 1"),
        (["tune", "--task", "digits", *TUNE], "does not compute the dtype 'float32'"),
        (["tune", "--implementation", f"{BROKEN}:StepOnly"], "does not compute the task"),
        (["analyze", "adam:alpha=0.1,beta1=0.9,beta2=1.5"], "beta2 of 'adam' must lie in [0, 1)"),
        (["analyze", "sgd:alpha=-1"], "alpha of 'sgd' must be above 0"),
        (["frobnicate"], "No such command"),
        (["meta-train", "cubic", "--implementation", "reference"], "unknown task 'cubic'"),
        (["meta-train", "quadratic"], "Missing option '--implementation'"),
        (
            ["meta-train", "quadratic", "--implementation", f"{BROKEN}:StepOnly"],
            "does not offer level 5",
        ),
        (
            ["meta-train", "quadratic", "--implementation", "reference"],
            "reference does not compute in float32, but in float64",
        ),
        (["meta-tune", "cubic"], "unknown task 'cubic'"),
        (["meta-tune", "quadratic", "--draws", "0"], "Invalid value for '--draws'"),
        (
            ["meta-tune", "quadratic", "--implementation", f"{BROKEN}:StepOnly"],
            "does not offer level 5",
        ),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(
    command: Command, arguments: list[str], message: str
) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


@pytest.mark.harness
def test_check_passes_the_reference(command: Command) -> None:
    code, out, _ = command("check", "reference", "--only", "one-step", "--only", "meta-gradient")
    assert code == 0
    assert re.search(r"^one-step +passed  15 cases, largest error \S+ of its bound$", out, re.M)


@pytest.mark.harness
def test_check_stops_at_the_first_cause(command: Command) -> None:
    code, out, _ = command("check", f"{FAULTS}:SwappedGates")
    assert code == 1
    assert re.search(r"^one-step +FAILED", out, re.MULTILINE)
    assert "but should be" in out
    assert "teacher-forced" not in out


@pytest.mark.harness
def test_check_goes_on_when_asked(command: Command) -> None:
    code, out, _ = command("check", f"{FAULTS}:ForgottenLeaf", "--all", "--only", "meta-gradient")
    assert code == 1
    assert out.count("meta-gradient of h0 is zero") == 3


@pytest.mark.parametrize("name", ["UnknownKind", "NothingDeclared", "NeedsArguments", "Exits"])
def test_check_of_what_is_no_implementation_fails(command: Command, name: str) -> None:
    code, out, _ = command("check", f"{BROKEN}:{name}")
    assert code == 1
    assert re.match(r"import +FAILED", out)


def test_analyze_a_baseline(command: Command) -> None:
    code, out, _ = command("analyze", "momentum:alpha=0.1,beta=0.9")
    assert code == 0
    assert "momentum index      0.900000" in out


@pytest.mark.harness
def test_analyze_as_json(command: Command) -> None:
    code, out, _ = command("analyze", CHECKPOINT, "--json")
    assert code == 0
    analysis = json.loads(out)
    assert analysis["convergence_point"]["residual"] < 1e-12
    assert 0 < analysis["convergence_point"]["spectral_radius"] < 1
    assert {"index", "effective_rate", "asymptotic_rate", "modes", "impulse_response"} <= set(
        analysis["momentum"]
    )
    assert len(analysis["momentum"]["modes"]) == 64
    code, again, _ = command("analyze", str(shipped_path(CHECKPOINT)), "--json")
    assert json.loads(again) == analysis


def test_analyze_with_gradients_of_ones_own(command: Command) -> None:
    code, out, _ = command(
        "analyze", "momentum:alpha=0.1,beta=0.5", "--gradients", "-3, 2,-0.5", "--json"
    )
    assert code == 0
    adaptation = json.loads(out)["adaptation"]
    for states in ("adapted", "exact"):
        assert adaptation[states]["gradients"] == [-3.0, -0.5, 2.0]
        assert adaptation[states]["rate_reference"] == pytest.approx([0.1] * 3)
        assert adaptation[states]["coverage"] == 1.0


def test_analyze_saves_the_runs(command: Command) -> None:
    code, _, _ = command("analyze", "sgd:alpha=0.1", "--save-runs", "runs.safetensors")
    assert code == 0
    trajectory, provenance = load_trajectory(Path("runs.safetensors"))
    assert trajectory.parameters.shape == (202, 64, 5)
    assert np.array_equal(trajectory.update, -0.1 * trajectory.gradient)
    assert (provenance["what"], provenance["split"]) == ("sgd:alpha=0.1", "evaluate")
    code, _, err = command("analyze", "sgd:alpha=0.1", "--save-runs", "runs.safetensors")
    assert code == 2
    assert "exists and is not overwritten" in err
    with pytest.raises(LoptbenchError, match="is not a trajectory"):
        load_trajectory(shipped_path(CHECKPOINT))


def test_analyze_an_object(command: Command, folder: Path) -> None:
    (folder / "loptbench_test_mine.py").write_text(
        "import numpy as np\n"
        "class Mine:\n"
        "    def initial_state(self, n): return np.zeros((n, 1))\n"
        "    def step(self, h, g):\n"
        "        h = 0.75 * h + g[:, None]\n"
        "        return h, -0.5 * h[:, 0]\n"
        "class Raises(Mine):\n"
        "    def step(self, h, g): raise RuntimeError('no')\n"
    )
    code, out, _ = command("analyze", "loptbench_test_mine:Mine", "--json")
    assert code == 0
    assert json.loads(out)["momentum"]["index"] == pytest.approx(0.75, abs=1e-7)
    code, _, err = command("analyze", "loptbench_test_mine:Raises")
    assert code == 2
    assert "failed while it was run: RuntimeError: no" in err


@pytest.fixture
def few_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations of six problems."""
    monkeypatch.setattr(held_out, "HELD_OUT", dict.fromkeys(TASKS, HeldOut(6, "float64")))


@pytest.mark.harness
@pytest.mark.usefixtures("few_problems")
def test_run_report_and_run_again(command: Command) -> None:
    arguments = ("run", "--implementation", "reference", "--task", "quadratic")
    code, out, err = command(*arguments)
    assert code == 0, out + err
    assert "25 ok, 0 failed, 0 diverged" in out
    assert re.search(r"^loptbench: 25/25$", err, re.MULTILINE)
    assert re.search(r"^reference results: \d+ of \d+ verdicts have the same outcome", out, re.M)
    assert "left out, and measured with --full: presets other than quick" in out
    records = sorted(Path("loptbench-results/records").iterdir())
    before = [path.stat().st_mtime_ns for path in records]
    code, out, _ = command(*arguments)
    assert code == 0
    assert [path.stat().st_mtime_ns for path in records] == before


@pytest.mark.slow
@pytest.mark.harness
@pytest.mark.usefixtures("few_problems")
def test_run_of_a_broken_implementation_fails_and_keeps_the_rest(command: Command) -> None:
    name = f"{FAULTS}:NaNForLargeGradients"
    code, out, _ = command("run", "--implementation", name, "--task", "quadratic")
    assert code == 1
    assert re.search(
        r"failed: conformance of random gru on quadratic in reference, float64: one-step", out
    )
    assert re.search(r"^\d+ ok, \d+ failed, 0 diverged$", out, re.MULTILINE)


@pytest.mark.harness
def test_run_leaves_a_folder_that_is_not_ours_alone(command: Command, folder: Path) -> None:
    (folder / "precious").mkdir()
    (folder / "precious" / "notes.txt").write_text("mine")
    code, _, err = command("run", "--store", "precious", "--implementation", "reference")
    assert code == 2
    assert "is not empty and not a loptbench store" in err
    assert [p.name for p in (folder / "precious").iterdir()] == ["notes.txt"]


@pytest.mark.harness
def test_two_of_the_same_name(command: Command, folder: Path) -> None:
    for place in ("a", "b"):
        (folder / place).mkdir()
        save_checkpoint(Checkpoint(random_gru(2, 0), "quadratic"), folder / place / "x.safetensors")
    code, _, err = command(
        "run", "--checkpoint", "a/x.safetensors", "--checkpoint", "b/x.safetensors"
    )
    assert code == 2
    assert "two checkpoints are called 'x'" in err
    implementation = ("--implementation", f"{FAULTS}:Faultless")
    code, _, err = command("run", *implementation, *implementation, "--store", "a")
    assert (
        "a is not empty and not a loptbench store" in err
    )  # the same implementation twice is accepted


@pytest.mark.slow
@pytest.mark.harness
def test_ctrl_c_leaves_a_usable_store(folder: Path) -> None:
    """After a real signal to a real process, another goes on with what is left."""
    arguments = [sys.executable, "-m", "loptbench", "run", "--implementation", "reference"]
    arguments += ["--task", "quadratic"]
    done: dict[Path, int] = {}
    for _ in range(2):
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A suite that runs in the background may have inherited that this signal is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        while len([*folder.glob("*/records/*.json")]) <= len(done) and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # until one more trial is done
                process.wait(timeout=0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all its processes
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 130, said
        assert "interrupted; the same command goes on from here" in said
        assert "Traceback" not in said
        (results,) = folder.iterdir()
        assert not Store.open(results).records()[1]  # none is damaged
        assert all(path.stat().st_mtime_ns == written for path, written in done.items())
        done = {path: path.stat().st_mtime_ns for path in results.glob("records/*.json")}
