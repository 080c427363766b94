"""`loptbench check`: progress, selection, the line that repeats a case, expected failures."""

import re
import shlex
from pathlib import Path

import pytest

import loptbench
from loptbench.errors import UnknownNameError
from loptbench.tests.fixture_types import Command

pytestmark = pytest.mark.harness

FAULTS = "loptbench.tests.conformance.planted_faults"
SWAPPED = f"{FAULTS}:SwappedGates"


def test_each_case_is_named_when_it_starts(command: Command) -> None:
    code, out, err = command("check", "reference", "--only", "initial-state")
    assert code == 0
    lines = err.splitlines()
    assert re.fullmatch(
        r"check reference: 0/\d+ initial-state: adam, quadratic, float64; time left unknown",
        lines[0],
    )
    assert re.search(r"1/\d+ initial-state: .*; about \d+ s left", lines[1])
    assert out.index("import") < out.index("initial-state")


@pytest.mark.parametrize(
    ("options", "cases"),
    [
        (["--only", "one-step", "--optimizer", "adam"], "one-step +passed  1 cases"),
        (["--level", "1", "--optimizer", "sgd"], "teacher-forced +passed  1 cases"),
        (["--only", "loss-and-gradient", "--task", "rosenbrock"], "loss-and-gradient +passed  1 c"),
        (
            ["--only", "teacher-forced", "--task", "rosenbrock", "--optimizer", "adam"],
            "teacher-forced +passed  1 cases",
        ),
    ],
)
def test_a_part_is_checked_alone(command: Command, options: list[str], cases: str) -> None:
    code, out, err = command("check", "reference", *options)
    assert code == 0
    assert re.search(cases, out), out
    if "--level" in options:
        assert "free-running" not in out
    if "--optimizer" in options:
        assert "gru" not in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "cubic"], "unknown task 'cubic'; known are"),
        (["--optimizer", "lion"], "unknown optimizer 'lion'; known are"),
        (["--level", "6"], "Invalid value for '--level'"),
    ],
)
def test_what_does_not_exist_is_refused(command: Command, options: list[str], message: str) -> None:
    code, _, err = command("check", "reference", *options)
    assert code == 2
    assert message in err


def test_the_repeat_line_repeats_exactly_one_case(command: Command) -> None:
    code, out, _ = command("check", SWAPPED)
    assert code == 1
    (line,) = re.findall(r"repeat: loptbench (.*)", out)
    assert "--optimizer 'random gru' --task quadratic --dtype float64 --seed 7" in line
    code, again, err = command(*shlex.split(line))
    assert code == 1
    assert "FAILED  on 1 of 1 cases" in again
    assert len(err.splitlines()) == 1
    message = re.compile(r"^    component.*$", re.M)
    assert message.findall(again) == message.findall(out)


def _expected(folder: Path, text: str) -> str:
    file = folder / "expected.toml"
    file.write_text(text)
    return str(file)


def test_expected_failures_do_not_fail(command: Command, tmp_path: Path) -> None:
    file = _expected(
        tmp_path,
        '[[expected]]\ncheck = "one-step"\noptimizer = "gru"\nreason = "the gates are swapped"\n',
    )
    arguments = ["--only", "one-step", "--expected-failures", file]
    code, out, _ = command("check", SWAPPED, *arguments)
    assert code == 0
    assert re.search(r"one-step +FAILED  on \d of \d cases, expected: the gates are swapped", out)
    assert "cases failed as expected" in out
    assert "repeat:" not in out


def test_another_failure_than_the_expected_one_fails(command: Command, tmp_path: Path) -> None:
    file = _expected(
        tmp_path, '[[expected]]\ncheck = "one-step"\noptimizer = "sgd"\nreason = "none"\n'
    )
    code, out, _ = command("check", SWAPPED, "--only", "one-step", "--expected-failures", file)
    assert code == 1
    assert "repeat:" in out


def test_an_expected_failure_that_passes_is_stale(command: Command, tmp_path: Path) -> None:
    file = _expected(
        tmp_path,
        '[[expected]]\ncheck = "one-step"\nreason = "once"\n'
        '[[expected]]\ncheck = "drive"\nreason = "not run"\n',
    )
    code, out, _ = command("check", "reference", "--only", "one-step", "--expected-failures", file)
    assert code == 0
    assert "warning: expected failure one-step is stale: it no longer fails" in out
    assert "drive" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[expected]]\ncheck = "one-step"\n', "expected failure 1: the field reason is missing"),
        ('[[expected]]\ncheck = "one-step"\nreason = " "\n', "expected failure 1: "),
        ('[[expected]]\ncheck = "luck"\nreason = "x"\n', "unknown check in"),
        ('[[expected]]\ncheck = "one-step"\nreason = "x"\nwhy = 1\n', "expected failure 1: why"),
        ("[[expected", "cannot be read as TOML"),
        ("known = 1\n", "should hold tables [[expected]] only, but has known"),
    ],
)
def test_a_wrong_file_of_expected_failures_is_refused(
    command: Command, tmp_path: Path, text: str, message: str
) -> None:
    file = _expected(tmp_path, text)
    code, _, err = command("check", "reference", "--expected-failures", file)
    assert code == 2
    assert message in err


def test_a_check_that_does_not_exist_is_refused_from_python() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown check 'step'; known are: .*one-step"):
        list(loptbench.check("reference", only=["step"]))
