"""Expected failures: a file of checks that are known to fail, each with the reason.

[[expected]]
check = "free-running"
optimizer = "adam"        # optional; so are task, dtype and device
dtype = "float32"
reason = "the step counter is kept in float16"
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from loptbench.conformance.suite import CHECKS, Outcome
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.results.schema.base import first_problem
from loptbench.results.schema.conformance import CheckStatus

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]


class ExpectedFailure(BaseModel):
    """An entry of the file. A field that is None stands for every value.

    Attributes:
        check: the name of the check.
        reason: why it fails.
        optimizer: the kind, or the name of the case, as `--optimizer` takes it.
        task: the task.
        dtype: the dtype.
        device: the device.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Text
    reason: Text
    optimizer: Text | None = None
    task: Text | None = None
    dtype: Text | None = None
    device: Text | None = None

    def covers(self, outcome: Outcome) -> bool:
        """Whether the entry speaks of this check on this case."""
        subject = outcome.subject
        case = subject.case
        return (
            self.check == outcome.check.name
            and self.optimizer in {None, case.label, case.optimizer.name, subject.spec.kind}
            and self.task in {None, case.task.name}
            and self.dtype in {None, subject.dtype}
            and self.device in {None, subject.device}
        )

    def describe(self) -> str:
        """The entry in messages, such as `free-running (adam, float32)`."""
        fields = (self.optimizer, self.task, self.dtype, self.device)
        named = ", ".join(field for field in fields if field)
        return f"{self.check} ({named})" if named else self.check


def load_expected(path: Path) -> list[ExpectedFailure]:
    """The entries of a file.

    Raises:
        LoptbenchError: the file cannot be read, or an entry is wrong: it has no reason, a field of
            another name, or a check that does not exist.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoptbenchError(f"{path} cannot be read as TOML: {error}") from error
    entries = table.pop("expected", [])
    if table or not isinstance(entries, list):
        names = ", ".join(table) or "expected"
        raise LoptbenchError(f"{path} should hold tables [[expected]] only, but has {names}")
    expected = []
    for number, fields in enumerate(entries, 1):
        try:
            entry = ExpectedFailure.model_validate(fields)
        except ValidationError as error:
            problem = first_problem(error)
            raise LoptbenchError(f"{path}: expected failure {number}: {problem}") from error
        known = [check.name for check in CHECKS]
        if entry.check not in known:
            raise UnknownNameError(f"check in {path}:", entry.check, known)
        expected.append(entry)
    return expected


class Expectations:
    """The entries of a file, and which of them the outcomes met."""

    def __init__(self, entries: list[ExpectedFailure]) -> None:
        self.entries = entries
        self.ran: set[ExpectedFailure] = set()
        self.failed: set[ExpectedFailure] = set()

    def reason(self, outcome: Outcome) -> str:
        """Take note of an outcome; the reason if it is an expected failure, else empty."""
        reason = ""
        for entry in self.entries:
            if entry.covers(outcome):
                self.ran.add(entry)
                if outcome.status is CheckStatus.FAILED:
                    self.failed.add(entry)
                    reason = reason or entry.reason
        return reason

    def stale(self, everything_ran: bool) -> list[str]:
        """What is wrong with each entry that no failure needed, in words.

        Args:
            everything_ran: whether all checks ran on all cases. Otherwise, an entry of a case that
                did not run may still be needed.
        """
        return [
            f"expected failure {entry.describe()} is stale: "
            + ("it no longer fails" if entry in self.ran else "there is no such case")
            + f"; remove it (its reason was: {entry.reason})"
            for entry in self.entries
            if entry not in self.failed and (entry in self.ran or everything_ran)
        ]
