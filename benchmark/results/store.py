"""The store of results: one record per trial, named by the hash of what determines it.

A store is a folder with a marker file, `loptbench-store.json`, and a folder `records` of JSON
files. Records are written to a temporary file and renamed, so an interruption leaves only whole
ones, and a run goes on from what is there.
"""

import dataclasses
import enum
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from loptbench.errors import LoptbenchError, StoreError
from loptbench.storage.files import write_atomically

FORMAT_VERSION = 1
MARKER = "loptbench-store.json"


class TrialStatus(enum.StrEnum):
    """How a trial ended."""

    OK = "ok"
    FAILED = "failed"
    DIVERGED = "diverged"


@dataclasses.dataclass(frozen=True)
class Record:
    """The result of one trial.

    Attributes:
        key: what determines the result: kind of trial, implementation, optimizer, weights hash,
            task, seed, dtype, device, versions, code hash, configuration.
        status: how it ended.
        message: why it failed or diverged, in a sentence; empty otherwise.
        result: what was found, as plain JSON values; what is not finite is None.
        provenance: machine, commit, versions: what explains the result without determining it.
    """

    key: Mapping[str, Any]
    status: TrialStatus
    message: str
    result: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The record's file name without its ending."""
        return key_hash(self.key)


def key_hash(key: Mapping[str, Any]) -> str:
    """The name of the record of a trial: a hash of all that determines it."""
    return hashlib.sha256(_to_json(key)).hexdigest()[:32]


def _to_json(value: Any) -> bytes:
    text = json.dumps(_plain(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None  # JSON has no NaN and no infinity
    return value


class Store:
    """A results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records_folder = folder / "records"

    @classmethod
    def create(cls, folder: Path) -> "Store":
        """Open a store, making it first if the folder is empty or does not exist.

        Raises:
            StoreError: the folder holds something else, or cannot be written.
        """
        if (folder / MARKER).exists():
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
            store._write(folder / MARKER, {"format_version": FORMAT_VERSION})
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
            StoreError: there is none, or it is of a newer format.
        """
        marker = folder / MARKER
        if not marker.is_file():
            what = "is not a loptbench store" if folder.exists() else "does not exist"
            raise StoreError(f"{folder} {what}; make one with 'loptbench run --store {folder}'")
        version = _read_json(marker).get("format_version")
        if version != FORMAT_VERSION:
            raise StoreError(
                f"{folder} has store format version {version!r}; this loptbench reads "
                f"{FORMAT_VERSION}: install the loptbench that wrote it, or a newer one"
            )
        return cls(folder)

    def _write(self, path: Path, value: Any) -> None:
        try:
            write_atomically(path, _to_json(value))
        except LoptbenchError as error:
            raise StoreError(str(error)) from error

    def _path(self, name: str) -> Path:
        return self.records_folder / f"{name}.json"

    def get(self, key: Mapping[str, Any]) -> Record | None:
        """The record of a trial, or None if it has not been run, or its file is damaged."""
        path = self._path(key_hash(key))
        if not path.exists():
            return None
        try:
            return _read_record(path)
        except StoreError:
            return None

    def put(self, record: Record) -> None:
        """Write a record; a damaged file in its place is kept, with the ending .damaged."""
        path = self._path(record.name)
        if path.exists() and self.get(record.key) is None:
            path.replace(path.with_suffix(".damaged"))
        self._write(path, dataclasses.asdict(record))

    def put_plan(self, plan: Mapping[str, Any]) -> None:
        """Write down what a run is going to do, so that a report can say how far it came."""
        self._write(self.folder / "plan.json", plan)

    def put_verdicts(
        self, verdicts: Sequence[Mapping[str, Any]], records: Iterable[Record]
    ) -> None:
        """Write down what records say of the claims, and which records those are."""
        told = {"verdicts": verdicts, "drawn_from": self._digest(records)}
        self._write(self.folder / "verdicts.json", told)

    def _digest(self, records: Iterable[Record]) -> str:
        """A hash of the files of these records."""
        found = hashlib.sha256()
        for name in sorted({record.name for record in records}):
            found.update(name.encode())
            found.update(self._path(name).read_bytes())
        return found.hexdigest()

    def verdicts_are_of(self, records: Iterable[Record]) -> bool:
        """Whether the store's verdicts were drawn from these of its records, as they are now."""
        told = _read_json(self.folder / "verdicts.json").get("drawn_from")
        return bool(told == self._digest(records))

    def verdicts(self) -> list[Mapping[str, Any]]:
        """The verdicts of the last run; none if it did not come so far.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.folder / "verdicts.json"
        if not path.exists():
            return []
        found = _read_json(path).get("verdicts")
        if not isinstance(found, list):
            raise StoreError(f"{path} is damaged: it holds no list of verdicts; run again")
        return found

    def plan(self) -> Mapping[str, Any]:
        """What the last run was going to do; empty if that is not known.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.folder / "plan.json"
        return _read_json(path) if path.exists() else {}

    def records(self) -> tuple[list[Record], list[str]]:
        """Every record, by name, and a sentence for each file that is not one."""
        records, problems = [], []
        if not self.records_folder.is_dir():
            problems.append(f"{self.records_folder} is not there, or not a folder")
        for path in sorted(self.records_folder.glob("*.json")):
            try:
                records.append(_read_record(path))
            except StoreError as error:
                problems.append(str(error))
        return records, problems


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = from_json(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: {error}; remove it and run again") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path} is damaged: it holds no object; remove it and run again")
    return value


def _read_record(path: Path) -> Record:
    value = _read_json(path)
    try:
        record = Record(
            value["key"],
            TrialStatus(value["status"]),
            value["message"],
            value["result"],
            value["provenance"],
        )
    except (KeyError, ValueError) as error:
        raise StoreError(f"{path} is not a record ({error}); remove it and run again") from error
    for part in ("key", "result", "provenance"):
        if not isinstance(value[part], dict):
            raise StoreError(f"{path} is not a record (its {part} is no object); remove it")
    if record.name != path.stem:
        raise StoreError(f"{path} is not the record its name says; remove it and run again")
    return record
