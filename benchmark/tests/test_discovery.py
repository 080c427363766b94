"""Finding implementations: installed, not installed, broken, never mixed up."""

import importlib
import importlib.metadata
import sys
from pathlib import Path

import pytest

from loptbench import discovery
from loptbench.conformance import CheckStatus, check_all
from loptbench.discovery import Availability, discover, get_implementation
from loptbench.errors import (
    BrokenImplementationError,
    ContractError,
    LoptbenchError,
    NotInstalledError,
    UnknownNameError,
)

BROKEN = "loptbench.tests.conformance.broken_implementations"


def test_the_built_in_implementations_are_registered() -> None:
    entries = {entry.name: entry for entry in discover()}
    assert {"reference", "torch", "jax"} <= set(entries)
    assert entries["reference"].availability is Availability.INSTALLED
    for name in ("torch", "jax"):
        if importlib.util.find_spec(name) is None:
            assert entries[name].availability is Availability.MISSING
            assert f"pip install 'loptbench[{name}]'" in entries[name].reason
        else:
            assert entries[name].availability is Availability.INSTALLED, entries[name].details


def test_an_entry_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        *importlib.metadata.entry_points(group=discovery.GROUP),
        importlib.metadata.EntryPoint("mine", f"{BROKEN}:StepOnly", discovery.GROUP),
        importlib.metadata.EntryPoint("reference", f"{BROKEN}:StepOnly", discovery.GROUP),
        importlib.metadata.EntryPoint("worse", f"{BROKEN}:UnknownKind", discovery.GROUP),
    ]
    monkeypatch.setattr(discovery, "entry_points", lambda group: points)
    entries = {entry.name: entry for entry in discover()}
    assert entries["mine"].implementation.name == "step only"
    assert entries["reference"].implementation.name == "reference"
    taken = entries[f"reference ({BROKEN}:StepOnly)"]
    assert (taken.availability, taken.reason.split(";")[0]) == (
        Availability.BROKEN,
        "the name 'reference' is taken",
    )
    assert entries["worse"].availability is Availability.BROKEN
    with pytest.raises(BrokenImplementationError, match="unknown 'lion' in `optimizers`"):
        get_implementation("worse")


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="unknown implementation 'tinygrad'; known are:"):
        get_implementation("tinygrad")


def test_paths_that_lead_nowhere() -> None:
    for path in ("a.b:", ":C", "a-b:C", "a..b:C"):
        with pytest.raises(LoptbenchError, match=r"not of the form package\.module:Object"):
            get_implementation(path)
    with pytest.raises(LoptbenchError, match="there is no module 'no_such_module'"):
        get_implementation("no_such_module.inside:Object")
    with pytest.raises(LoptbenchError, match="has no 'Nobody'"):
        get_implementation(f"{BROKEN}:Nobody")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NothingDeclared", "has no optimizers, tasks, dtypes, devices, versions, optimizer, pro"),
        (
            "UnknownKind",
            "unknown 'lion' in `optimizers`; known are: sgd, momentum, nesterov, rmsprop, "
            "adam, cosine_sgd,",
        ),
        ("NothingOffered", "`optimizers` is empty, so there is nothing to check"),
        ("OneString", "`dtypes` must be a collection of strings, not 'float64'"),
        ("ElsewhereOnly", "`devices` has no 'cpu', on which implementations are compared"),
        ("TwoLines", "`name` must be one line of text"),
    ],
)
def test_declarations_are_held_to_the_protocol(name: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        get_implementation(f"{BROKEN}:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NeedsArguments", "cannot be made without arguments: TypeError"),
        ("Exits", "cannot be made without arguments: SystemExit: 0"),
        ("LazyImport", "declares cannot be read: RuntimeError: the library is of another version"),
    ],
)
def test_an_object_that_cannot_be_made_or_read(name: str, message: str) -> None:
    with pytest.raises(BrokenImplementationError, match=message):
        get_implementation(f"{BROKEN}:{name}")


def written(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)
    sys.modules.pop(name, None)


def test_import_errors(folder: Path) -> None:
    written(folder, "loptbench_test_one", "import no_such_framework\n")
    with pytest.raises(NotInstalledError, match="needs 'no_such_framework', not installed: inst"):
        get_implementation("loptbench_test_one:Object")
    written(folder, "loptbench_test_two", "1 / 0\n")
    with pytest.raises(BrokenImplementationError, match="failed: ZeroDivisionError: division by"):
        get_implementation("loptbench_test_two:Object")
    written(folder, "loptbench_test_three", "def f(:\n")
    with pytest.raises(BrokenImplementationError, match="failed: SyntaxError"):
        get_implementation("loptbench_test_three:Object")
    written(folder, "loptbench_test_four", "raise SystemExit(0)\n")
    with pytest.raises(BrokenImplementationError, match="failed: SystemExit"):
        get_implementation("loptbench_test_four:Object")


def test_a_module_in_the_current_folder_is_found(folder: Path) -> None:
    text = f"from {BROKEN} import StepOnly\nstep_only = StepOnly()\n"
    written(folder, "loptbench_test_five", text)
    assert get_implementation("loptbench_test_five:step_only").name == "step only"


def test_what_is_not_offered_is_skipped_with_the_reason() -> None:
    outcomes = list(check_all(get_implementation(f"{BROKEN}:StepOnly")))
    assert not [o for o in outcomes if o.status is CheckStatus.FAILED]
    reasons = {o.check.name: o.message for o in outcomes if o.status is CheckStatus.SKIPPED}
    assert reasons["teacher-forced"] == "the implementation declares no tasks of its own"
    assert "linearize" not in reasons  # its optimizer is the reference's, which can
    passed = {o.check.name for o in outcomes if o.status is CheckStatus.PASSED}
    assert {"initial-state", "one-step", "equivariance", "step-purity"} <= passed
