"""The store of results: one record for each trial, named by the hash of its key.

A store is a folder with a marker file, `loptbench-store.json`, and a folder `records` of JSON
files. Each record is written to a temporary file that is then renamed, so an interruption leaves
whole records only, and the next run continues from them.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from loptbench.errors import LoptbenchError, StoreError
from loptbench.reading import parse_json, read_file, require_path
from loptbench.results.schema.base import Model, field, first_problem
from loptbench.results.schema.confirmation import Confirmation
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.means import MeanResult, Means
from loptbench.results.schema.plan import Plan
from loptbench.results.schema.records import Record, TrialStatus
from loptbench.results.schema.verdicts import Verdict, Verdicts
from loptbench.storage.files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["FORMAT_VERSION", "MARKER", "Record", "Store", "TrialStatus"]

FORMAT_VERSION = 3
"""Version 1 held untyped results, and the optimizer's role as part of its name."""

MARKER = "loptbench-store.json"

_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?\d{19}")
"""What may be a whole number beyond 64 bits; pydantic reads numbers of any length."""

_Any = TypeVar("_Any", bound=BaseModel)


class Marker(Model):
    """The file that makes a folder a store."""

    format_version: int = field("version of the format of the store's files")


class Store:
    """A results folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store.create(Path(folder) / "results")
    ...     store.records()
    ([], [])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records_folder = folder / "records"

    @classmethod
    def create(cls, folder: Path) -> "Store":
        """Open a store; make it first if the folder is empty or does not exist.

        Raises:
            StoreError: the folder holds something else, or cannot be written.
        """
        if (require_path(folder, StoreError) / MARKER).exists():
            store = cls.open(folder)
        else:
            try:
                if folder.exists() and any(folder.iterdir()):
                    raise StoreError(
                        f"{folder} is not empty and not a loptbench store (it has no {MARKER}); "
                        "choose another folder, nothing was written"
                    )
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"cannot make a store at {folder}: {error.strerror}; choose another folder"
                ) from error
            store = cls(folder)
            store._write(folder / MARKER, Marker(format_version=FORMAT_VERSION))
        if not os.access(folder, os.W_OK):
            raise StoreError(f"the store {folder} cannot be written; choose another folder")
        try:
            store.records_folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {folder}: {error.strerror}") from error
        return store

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open a store that exists.

        Raises:
            StoreError: there is none, or its format is older or newer.
        """
        marker = require_path(folder, StoreError) / MARKER
        if not marker.is_file():
            problem = "is not a loptbench store" if folder.exists() else "does not exist"
            raise StoreError(f"{folder} {problem}; make one with 'loptbench run --store {folder}'")
        version = _read(marker, Marker).format_version
        if version < FORMAT_VERSION:
            raise StoreError(
                f"{folder} has store format version {version}; this loptbench reads "
                f"{FORMAT_VERSION}, in which the probes are those of the second edition. Its "
                "records were computed by other code and cannot be used: call "
                f"'loptbench run --store {folder}-{FORMAT_VERSION}' to compute them again, or read "
                "them with the loptbench that wrote them"
            )
        if version > FORMAT_VERSION:
            raise StoreError(
                f"{folder} has store format version {version}; this loptbench reads "
                f"{FORMAT_VERSION}: install the loptbench that wrote it, or a newer one"
            )
        return cls(folder)

    def _write(self, path: Path, value: BaseModel) -> None:
        try:
            write_atomically(path, to_bytes(value))
        except LoptbenchError as error:
            raise StoreError(str(error)) from error

    def _read_if_there(self, name: str, kind: type[_Any]) -> _Any | None:
        path = self.folder / name
        return _read(path, kind) if path.exists() else None

    def _path(self, name: str) -> Path:
        return self.records_folder / f"{name}.json"

    def has(self, key: TrialKey) -> bool:
        """Whether there is a file of the trial's record, damaged or not."""
        return self._path(key.name).exists()

    def get(self, key: TrialKey) -> Record | None:
        """The record of a trial; None if it has not been run or its file is damaged."""
        path = self._path(key.name)
        if not path.exists():
            return None
        try:
            return _read_record(path)
        except StoreError:
            return None

    def put(self, record: Record) -> None:
        """Write a record. A damaged file in its place is kept, with the ending .damaged.

        Raises:
            StoreError: the store cannot be written.
        """
        path = self._path(record.name)
        if path.exists() and self.get(record.key) is None:
            path.replace(path.with_suffix(".damaged"))
        self._write(path, record)

    def records(self) -> tuple[list[Record], list[str]]:
        """Every record, by name, and a sentence for each file that holds none."""
        records, problems = [], []
        if not self.records_folder.is_dir():
            problems.append(f"{self.records_folder} does not exist, or is not a folder")
        for path in sorted(self.records_folder.glob("*.json")):
            try:
                records.append(_read_record(path))
            except StoreError as error:
                problems.append(str(error))
        return records, problems

    def put_plan(self, plan: Plan) -> None:
        """Write the plan of a run, from which a report knows the missing trials."""
        self._write(self.folder / "plan.json", plan)

    def plan(self) -> Plan | None:
        """The plan of the last run; None if no run has begun.

        Raises:
            StoreError: the file is damaged.
        """
        return self._read_if_there("plan.json", Plan)

    def put_verdicts(self, verdicts: Sequence[Verdict], records: Iterable[Record]) -> None:
        """Write verdicts, with a hash of the records that they are drawn from."""
        content = Verdicts(verdicts=tuple(verdicts), drawn_from=self._digest(records))
        self._write(self.folder / "verdicts.json", content)

    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of the last run; none if it was interrupted before.

        Raises:
            StoreError: the file is damaged.
        """
        found = self._read_if_there("verdicts.json", Verdicts)
        return found.verdicts if found else ()

    def verdicts_are_of(self, records: Iterable[Record]) -> bool:
        """Whether the verdicts were drawn from exactly these records, as they are now.

        Raises:
            StoreError: the file of the verdicts is missing or damaged.
        """
        drawn_from = _read(self.folder / "verdicts.json", Verdicts).drawn_from
        return drawn_from == self._digest(records)

    def put_means(self, means: Sequence[MeanResult], records: Iterable[Record]) -> None:
        """Write the means of evaluations, with a hash of the records that they are of."""
        content = Means(means=tuple(means), drawn_from=self._digest(records))
        self._write(self.folder / "means.json", content)

    def means(self) -> tuple[MeanResult, ...]:
        """The means of the evaluations of the last run; none if it was interrupted before.

        Raises:
            StoreError: the file is damaged.
        """
        found = self._read_if_there("means.json", Means)
        return found.means if found else ()

    def means_are_of(self, records: Iterable[Record]) -> bool:
        """Whether the means are of exactly these evaluations, as they are now.

        Raises:
            StoreError: the file of the means is damaged.
        """
        found = self._read_if_there("means.json", Means)
        return found is not None and found.drawn_from == self._digest(records)

    def put_confirmation(self, confirmation: Confirmation) -> None:
        """Write that the confirmation of the claims has been spent."""
        self._write(self.folder / "confirmation.json", confirmation)

    def confirmation(self) -> Confirmation | None:
        """That the confirmation of the claims has been spent; None if it has not.

        Raises:
            StoreError: the file is damaged.
        """
        return self._read_if_there("confirmation.json", Confirmation)

    def _digest(self, records: Iterable[Record]) -> str:
        """A hash of the files of these records."""
        digest = hashlib.sha256()
        for name in sorted({record.name for record in records}):
            digest.update(name.encode())
            digest.update(self._path(name).read_bytes())
        return digest.hexdigest()

    @property
    def frames(self) -> tuple[str, ...]:
        """The names of the frames.

        >>> Store(Path("results")).frames[:3]
        ('trials', 'evaluations', 'ratios')
        """
        from loptbench.results.frames import FRAMES

        return tuple(FRAMES)

    def frame(self, name: str) -> "DataFrame":
        """One kind of result as a table, such as `store.frame("ratios")`.

        `loptbench.results.frames.FRAMES[name].columns` describes its columns.

        Raises:
            StoreError: there is no frame of this name.
        """
        from loptbench.results.frames import frame

        return frame(self, name)


def to_bytes(value: BaseModel) -> bytes:
    r"""A model as JSON: equal models give equal bytes.

    >>> to_bytes(Marker(format_version=2))
    b'{"format_version":2}\n'
    """
    content = value.model_dump(mode="json")
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _read(path: Path, kind: type[_Any]) -> _Any:
    try:
        content = read_file(path, StoreError)
        if _LONG_NUMBER.search(content):
            parse_json(content)  # refuses a number that is too large; texts may contain any
        return kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise StoreError(
            f"{path} is damaged: {first_problem(error)}; remove it and run again"
        ) from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}; remove it and run again") from error


def _read_record(path: Path) -> Record:
    from loptbench.results.frames import require_consistent

    record = _read(path, Record)
    if record.name != path.stem:
        raise StoreError(
            f"{path} is damaged: its name should be the hash of its key, {record.name}; remove it "
            "and run again"
        )
    try:
        require_consistent(record)
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}; remove it and run again") from error
    return record
