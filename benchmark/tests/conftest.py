"""What the suite runs on: implementations and hypothesis profiles."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from loptbench.agreement.tolerances import TABLE
from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import judge_all
from loptbench.cli import main as cli
from loptbench.conformance import CHECKS, Check, Subject, pairs
from loptbench.discovery import Availability, DiscoveredImplementation, get_implementation
from loptbench.mechanisms import analysis
from loptbench.protocol import Level
from loptbench.pytest_plugin.selection import PROFILE, SELECTED, selected
from loptbench.results.frames import Contents
from loptbench.results.schema.keys import TrialKind
from loptbench.results.schema.verdicts import Verdict
from loptbench.results.store import Record, Store
from loptbench.study import evaluation as evaluation_trials
from loptbench.study.execution import run_trials
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
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
    """With `LOPTBENCH_REQUIRE_BROWSER=1`, tests that a browser takes part in may not be skipped."""
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
    """Every check of every implementation, case and dtype is a test of its own."""
    if "subject" not in metafunc.fixturenames:
        return
    rows = []
    entries = metafunc.config.stash.get(SELECTED, None) or selected(metafunc.config)
    for entry in entries:
        if entry.availability is Availability.MISSING:
            skip = pytest.mark.skip(reason=f"not installed: {entry.reason}")
            rows.append(pytest.param(CHECKS[0], None, id=entry.name, marks=skip))
        elif entry.availability is Availability.BROKEN:
            rows.append(pytest.param(CHECKS[0], entry, id=entry.name))  # it fails, and says why
        else:
            # The oracle beside itself is a test of the harness: no framework takes part.
            marks = [pytest.mark.harness] if entry.name == "reference" else []
            for check, subject in pairs(entry.implementation, SEED, devices=TABLE):
                name = _identifier(entry.name, check, subject)
                more = [pytest.mark.slow] if _takes_long(check, subject) else []
                rows.append(pytest.param(check, subject, id=name, marks=[*marks, *more]))
    metafunc.parametrize(("check", "subject"), rows)


NETWORKS = ("two_moons", "digits")
"""The tasks on networks."""


def _takes_long(check: Check, subject: Subject) -> bool:
    """Whether a check is left to those who have time: it shows little that shorter ones do not."""
    task, kind = subject.case.task.name, subject.case.label
    differentiates = check.level >= Level.META_GRADIENT  # which compiles for long
    if subject.dtype == "float32":
        return differentiates or kind != "random gru" or task in NETWORKS
    return differentiates and (kind != "random gru" or task == "digits")


def _identifier(name: str, check: Check, subject: Subject) -> str:
    label = subject.case.label.replace(" ", "-")
    where = "" if subject.device == "cpu" else f"-{subject.device}"
    return f"{name}/{label}/{subject.case.task.name}/{subject.dtype}{where}/{check.name}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a store of records and verdicts, with their plan unless told not to."""

    def made(
        name: str, records: Iterable[Record], *verdicts: Verdict, planned: bool = True
    ) -> Store:
        store = Store.create(tmp_path / name)
        known = list(records)
        for one in known:
            store.put(one)
        if planned:
            put_plan(store, known)
        if verdicts:
            store.put_verdicts(verdicts, known)
        return store

    return made


def _on_networks(trial: Trial) -> bool:
    return trial.key.trial is TrialKind.CONFORMANCE and trial.key.task in NETWORKS


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the reference, with one implementation that is not installed; not to be changed.

    It takes a minute: whatever tests a report takes it from here. Without conformance on networks
    it would take two.
    """
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
    folder = tmp_path_factory.mktemp("full") / "store"
    store = Store.create(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation_trials, "N_EVALUATION", 6)
        patch.setattr(analysis, "MAX_PROBLEMS", 2)
        planned = plan(entries, {"quadratic": shipped("quadratic-quick-jax-0")}, load_tuned(), 0)
        trials = [trial for trial in planned if not _on_networks(trial)]
        records = run_trials(trials, store, entries)
        store.put_verdicts(judge_all(evidence_of(Contents(records))), records)
    return folder


@pytest.fixture
def store(full_store: Path, tmp_path: Path) -> Store:
    """A copy of the full store, to be changed."""
    shutil.copytree(full_store, tmp_path / "store")
    return Store.open(tmp_path / "store")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path
) -> Command:
    """Run `loptbench` with arguments; returns exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loptbench", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, out, err

    return run
