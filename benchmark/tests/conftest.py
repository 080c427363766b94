"""What the suite runs on: implementations, hypothesis profiles, a header."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from loptbench.conformance import CHECKS, Check, Subject, subjects
from loptbench.provenance import versions_of
from loptbench.pytest_plugin import selected
from loptbench.registry import Availability

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", deadline=None, max_examples=500)
PROFILE = os.environ.get("LOPTBENCH_HYPOTHESIS", "ci")
settings.load_profile(PROFILE)

SEED = 7


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"hypothesis profile: {PROFILE}"]
    for entry in selected(config):
        if entry.availability is Availability.INSTALLED:
            one = entry.implementation
            said = ", ".join(f"{k} {v}" for k, v in versions_of(one).items())
            where = f"{', '.join(one.devices)}; {', '.join(one.dtypes)}"
            lines.append(f"implementation {entry.name}: {said}; {where}")
        else:
            lines.append(f"implementation {entry.name}: {entry.availability}: {entry.reason}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every check of every implementation, case and dtype is a test of its own."""
    if "subject" not in metafunc.fixturenames:
        return
    rows = []
    for entry in selected(metafunc.config):
        if entry.availability is Availability.MISSING:
            skip = pytest.mark.skip(reason=f"not installed: {entry.reason}")
            rows.append(pytest.param(CHECKS[0], None, id=entry.name, marks=skip))
        elif entry.availability is Availability.BROKEN:
            raise pytest.UsageError(f"{entry.name} is broken: {entry.reason}\n{entry.details}")
        else:
            rows += [
                pytest.param(check, subject, id=_identifier(entry.name, check, subject))
                for check in CHECKS
                for subject in subjects(entry.implementation, SEED)
            ]
    metafunc.parametrize(("check", "subject"), rows)


def _identifier(name: str, check: Check, subject: Subject) -> str:
    label = subject.case.label.replace(" ", "-")
    return f"{name}-{check.name}-{label}-{subject.dtype}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
