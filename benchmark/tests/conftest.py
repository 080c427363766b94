"""What the suite runs on: implementations and hypothesis profiles."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from loptbench.conformance import CHECKS, Check, Subject, pairs
from loptbench.pytest_plugin import PROFILE, SELECTED, selected
from loptbench.registry import Availability
from loptbench.tolerances import TABLE

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
            raise pytest.UsageError(f"{entry.name} is broken: {entry.reason}\n{entry.details}")
        else:
            # The oracle beside itself is a test of the harness: no framework takes part.
            marks = [pytest.mark.harness] if entry.name == "reference" else []
            for check, subject in pairs(entry.implementation, SEED, devices=TABLE):
                name = _identifier(entry.name, check, subject)
                rows.append(pytest.param(check, subject, id=name, marks=marks))
    metafunc.parametrize(("check", "subject"), rows)


def _identifier(name: str, check: Check, subject: Subject) -> str:
    label = subject.case.label.replace(" ", "-")
    where = "" if subject.device == "cpu" else f"-{subject.device}"
    return f"{name}-{check.name}-{label}-{subject.case.task.name}-{subject.dtype}{where}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
