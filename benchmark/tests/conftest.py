"""Fixtures shared by all tests, hypothesis profiles, and the parameters of conformance tests."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from loptbench.agreement.tolerances import TABLE
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.cli import main as cli
from loptbench.conformance import CHECKS, Check, Subject, pairs
from loptbench.conformance.subject import Scope
from loptbench.discovery import Availability, DiscoveredImplementation, get_implementation
from loptbench.mechanisms import analysis
from loptbench.protocol import Level
from loptbench.pytest_plugin.selection import PROFILE, SELECTED, selected
from loptbench.results.frames import Contents
from loptbench.results.schema.keys import TrialKind
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Record, Store
from loptbench.rollout import held_out
from loptbench.rollout.held_out import HeldOut
from loptbench.study.execution import run_trials
from loptbench.study.mechanisms import OracleAnalyses, mechanism_trials
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS
from loptbench.tests.fixture_types import Command, Make
from loptbench.tests.reports.made_records import put_plan
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get(PROFILE, "ci"))

SEED = 7


def pytest_configure() -> None:
    """Stop if `LOPTBENCH_REQUIRE_BROWSER=1` and something that browser tests need is missing."""
    if os.environ.get("LOPTBENCH_REQUIRE_BROWSER") == "1":
        from loptbench.reports.page.picture import BROWSERS, find_browser

        needed = ("jinja2", "matplotlib", "playwright", "axe_playwright_python")
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if find_browser() is None:
            missing.append(" or ".join(BROWSERS))
        if missing:
            raise pytest.UsageError(
                f"LOPTBENCH_REQUIRE_BROWSER=1 asks for what is not here: {', '.join(missing)}"
            )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each check of each implementation, case and dtype."""
    if "subject" not in metafunc.fixturenames:
        return
    rows = []
    entries = metafunc.config.stash.get(SELECTED, None) or selected(metafunc.config)
    for entry in entries:
        if entry.availability is Availability.MISSING:
            skip = pytest.mark.skip(reason=f"not installed: {entry.reason}")
            rows.append(pytest.param(CHECKS[0], None, id=entry.name, marks=skip))
        elif entry.availability is Availability.BROKEN:
            # The test fails and gives the reason.
            rows.append(pytest.param(CHECKS[0], entry, id=entry.name))
        else:
            # The oracle compared with itself tests the harness: no framework is involved.
            marks = [pytest.mark.harness] if entry.name == "reference" else []
            for check, subject in pairs(entry.implementation, SEED, devices=TABLE):
                name = _identifier(entry.name, check, subject)
                slow = [pytest.mark.slow] if _takes_long(check, subject, entry.name) else []
                rows.append(pytest.param(check, subject, id=name, marks=[*marks, *slow]))
    metafunc.parametrize(("check", "subject"), rows)


NETWORKS = ("two_moons", "digits")
"""The tasks on networks."""


def _takes_long(check: Check, subject: Subject, name: str) -> bool:
    """Whether a check is marked slow: it adds little to what faster checks show."""
    task, kind = subject.case.task.name, subject.case.label
    differentiates = check.level >= Level.META_GRADIENT  # compiling this takes long
    if subject.dtype == "float32":
        return differentiates or kind != "random gru" or task in NETWORKS
    if differentiates and (kind != "random gru" or task == "digits"):
        return True
    runs = check.level >= Level.UNROLL and check.scope is not Scope.IMPLEMENTATION
    if name == "reference":  # held to itself, it shows the harness only
        return runs and task in NETWORKS
    # Every loop over a network runs on two moons, and those of full size on digits too.
    return runs and task == "digits" and not check.name.startswith("full-size")


def _identifier(name: str, check: Check, subject: Subject) -> str:
    label = subject.case.label.replace(" ", "-")
    where = "" if subject.device == "cpu" else f"-{subject.device}"
    return f"{name}/{label}/{subject.case.task.name}/{subject.dtype}{where}/{check.name}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_tasks_are_left_behind() -> Iterator[None]:
    """Tasks that a test registers are forgotten after it."""
    before = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(before)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a store of records and verdicts, with their plan if `planned`."""

    def make_store(
        name: str, records: Iterable[Record], *verdicts: Verdict, planned: bool = True
    ) -> Store:
        store = Store.create(tmp_path / name)
        stored = list(records)
        for record in stored:
            store.put(record)
        if planned:
            put_plan(store, stored)
        if verdicts:
            store.put_verdicts(verdicts, stored)
        return store

    return make_store


SMALL = {task: HeldOut(2 if task in NETWORKS else 6, "float64") for task in TASKS}
"""Evaluations on few problems."""

KINDS_LEFT_OUT = ("adam", "composed", "nesterov", "rmsprop")
"""Kinds of optimizers whose conformance is not in the full store: others show all of it."""


def _takes_its_time(trial: Trial) -> bool:
    """Whether a trial takes long and has nothing in its record that others do not have."""
    name = trial.key.optimizer.name
    return trial.key.trial is TrialKind.CONFORMANCE and (
        trial.key.task in NETWORKS or name in KINDS_LEFT_OUT
    )


@pytest.fixture(scope="session")
def full_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the reference and of one implementation that is not installed. Do not change it.

    Making it takes long, so all tests of reports share it, in all processes of pytest-xdist. It has
    no conformance trials on networks, nor of most baselines, which would take another minute.
    """
    shared = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # each process has a folder in that of all
        shared = shared.parent
    folder = shared / "full" / "store"
    with FileLock(shared / "full.lock"):
        if not folder.exists():
            unfinished = shared / "unfinished" / "store"
            _make_full_store(unfinished)
            unfinished.parent.rename(folder.parent)
    return folder


def _make_full_store(folder: Path) -> None:
    entries = [
        DiscoveredImplementation(
            "reference",
            "here",
            Availability.INSTALLED,
            implementation=get_implementation("reference"),
        ),
        DiscoveredImplementation(
            "tinygrad", "there", Availability.MISSING, "needs 'tinygrad': pip install it"
        ),
    ]
    folder.parent.mkdir(exist_ok=True)
    store = Store.create(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "HELD_OUT", SMALL)
        patch.setattr(analysis, "MAX_PROBLEMS", 2)
        tuned = load_tuned()
        planned = plan(entries, {"quadratic": shipped("quadratic-quick-jax-0")}, tuned, 0)
        trials = [trial for trial in planned if not _takes_its_time(trial)]
        # Baselines on the other tasks, which the reference probes beside learned optimizers only.
        others = [task for task in TASKS if task != "quadratic"]
        trials += mechanism_trials(entries[0], {}, [], tuned, 0, others, OracleAnalyses())
        records = run_trials(trials, store, entries)
        store.put_verdicts(judge_all(evidence_of(Contents(records))), records)


@pytest.fixture
def store(full_store: Path, tmp_path: Path) -> Store:
    """A copy of the full store that a test may change."""
    shutil.copytree(full_store, tmp_path / "store")
    return Store.open(tmp_path / "store")


JAX_VARIABLES = {"JAX_ENABLE_COMPILATION_CACHE": "true", "JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
"""Environment variables that commands set, with the values that JAX takes if they are not set."""


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path
) -> Command:
    """Run `loptbench` with arguments; returns exit code, standard output and error."""
    monkeypatch.setattr("loptbench.cli.main.use_compilation_cache", lambda: None)
    # Some commands set these: afterwards they are as they were.
    for name, value in JAX_VARIABLES.items():
        monkeypatch.setenv(name, os.environ.get(name, value))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loptbench", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, out, err

    return run
