"""The suite as a third party runs it: from another folder, on its own implementation."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.harness

FAULTS = "loptbench.tests.conformance.planted_faults"


def pytest_in(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run pytest in a process of its own; returns its exit code and output."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "LOPTBENCH_REQUIRE": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


OPTION = "--loptbench-implementation"
CONFORMANCE = ("--pyargs", "loptbench.tests.test_conformance")


def test_a_third_party_passes(tmp_path: Path) -> None:
    name = f"{FAULTS}:Faultless"
    code, out = pytest_in(tmp_path, *CONFORMANCE, OPTION, name, "-k", "one-step")
    assert code == 0, out
    assert "15 passed" in out  # the cases of the learned ones, and one of every other kind


def test_a_fault_is_a_failing_test_with_the_message(tmp_path: Path) -> None:
    name = f"{FAULTS}:TransposedMatrix"
    code, out = pytest_in(tmp_path, *CONFORMANCE, OPTION, name, "-k", "one-step")
    assert code == 1
    assert "state = " in out
    assert "but should be" in out


def test_an_implementation_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    code, out = pytest_in(tmp_path, *CONFORMANCE, OPTION, "tinygrad")
    assert code == 4
    assert "unknown implementation 'tinygrad'" in out


def test_a_project_may_have_an_option_called_implementation(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--implementation')\n"
    )
    (tmp_path / "test_own.py").write_text(
        "def test_own(request):\n"
        "    assert request.config.getoption('--implementation') == 'theirs'\n"
    )
    code, out = pytest_in(tmp_path, "--implementation", "theirs")
    assert code == 0, out


def test_the_checks_of_one_subject_run_in_one_worker(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    chosen = (
        OPTION,
        f"{FAULTS}:Faultless",
        "-k",
        "(sgd or adam) and (step or state) and not cosine",
    )
    code, out = pytest_in(tmp_path, "-vv", "-n", "2", *CONFORMANCE, *chosen)
    assert code == 0, out
    workers: dict[str, set[str]] = {}
    for worker, subject in re.findall(r"\[(gw\d)\].* PASSED .*\[(.*)/[^/]*\]", out):
        workers.setdefault(subject, set()).add(worker)
    assert len(workers) == 2
    assert all(len(names) == 1 for names in workers.values())


def test_what_is_required_must_be_there(tmp_path: Path) -> None:
    code, out = pytest_in(tmp_path, *CONFORMANCE, LOPTBENCH_REQUIRE="reference,tinygrad")
    assert code == 4
    assert "LOPTBENCH_REQUIRE asks for tinygrad, which cannot be used here" in out


def test_the_header_names_implementations_and_versions(tmp_path: Path) -> None:
    code, out = pytest_in(tmp_path, "-v", *CONFORMANCE, "-k", "nothing-of-that-name")
    assert code == 5
    assert "implementation reference: numpy" in out
    assert "hypothesis profile: ci" in out


def test_each_reason_of_skipped_tests_is_told_once(tmp_path: Path) -> None:
    chosen = (OPTION, "reference", "-k", "sgd and quadratic and outer")
    code, out = pytest_in(tmp_path, *CONFORMANCE, *chosen)
    told = [line for line in out.splitlines() if line.startswith("skipped ")]
    assert code == 0, out
    assert re.search(r"\d+ skipped", out)
    assert len(told) == len({line.partition(": ")[2] for line in told}) > 0
    assert "SKIPPED [" not in out


def test_one_that_is_broken_fails_and_the_others_are_tested(tmp_path: Path) -> None:
    metadata = tmp_path / "site" / "broken-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[loptbench.implementations]\nbroken = no_such:Thing\n"
    )
    (tmp_path / "site" / "no_such.py").write_text("raise RuntimeError('it cannot be imported')\n")
    paths = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    chosen = (*CONFORMANCE, "-k", "broken or (reference and initial-state)")
    code, out = pytest_in(tmp_path, *chosen, PYTHONPATH=paths)
    assert code == 1
    assert "broken is broken: " in out
    assert "it cannot be imported" in out
    assert "1 failed, 15 passed" in out
