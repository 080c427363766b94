"""The store: whole records only, nothing lost, nothing overwritten."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loptbench.discovery import Availability, DiscoveredImplementation
from loptbench.errors import StoreError
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.results.store import Record, Store, TrialStatus, key_hash
from loptbench.study.plan import plan
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

REFERENCE = DiscoveredImplementation(
    "reference", "here", Availability.INSTALLED, implementation=Reference()
)


def record(i: int = 0) -> Record:
    key = {"trial": "test", "implementation": "x", "optimizer": "y", "seed": i}
    return Record(key, TrialStatus.OK, "", {"value": [1.5, None, "ä"]}, {"machine": "m"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def test_a_round_trip(store: Store) -> None:
    store.put(record())
    assert store.get(record().key) == record()
    assert store.get(record(1).key) is None
    assert store.records() == ([record()], [])


def test_what_is_not_finite_is_written_as_null(store: Store) -> None:
    one = Record(record().key, TrialStatus.DIVERGED, "", {"x": float("nan")}, {})
    store.put(one)
    found = store.get(one.key)
    assert found is not None
    assert found.result == {"x": None}


def test_the_name_is_the_hash_of_the_key_whatever_its_order() -> None:
    key = dict(record().key)
    assert key_hash(key) == key_hash(dict(reversed(key.items())))
    assert key_hash(key) != key_hash({**key, "seed": 1})


def test_opening_again_keeps_everything(store: Store) -> None:
    store.put(record())
    assert Store.create(store.folder).records() == ([record()], [])
    assert Store.open(store.folder).records() == ([record()], [])


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="is not empty and not a loptbench store"):
        Store.create(tmp_path)
    with pytest.raises(StoreError, match="is not a loptbench store; make one with"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "none")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match="cannot make a store at"):
        Store.create(file)


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that cannot be written, for root too, whom permissions do not stop."""
    folder = tmp_path / "locked"
    Store.create(folder)
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        monkeypatch.setattr(os, "access", lambda *_: False)
    yield folder
    folder.chmod(0o755)


def test_an_unwritable_store(unwritable: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written; choose another folder"):
        Store.create(unwritable)


def test_a_newer_store(store: Store) -> None:
    (store.folder / "loptbench-store.json").write_text('{"format_version": 2}')
    for opened in (Store.open, Store.create):
        with pytest.raises(StoreError, match="store format version 2; this loptbench reads 1"):
            opened(store.folder)


DAMAGED = ["", "{", "[]", '{"key": {}}', '{"key": {}, "status": "fine"}', "\x00\xff"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_named_replaced_and_kept(store: Store, content: str) -> None:
    store.put(record())
    store.put(record(1))
    path = store.records_folder / f"{record().name}.json"
    path.write_text(content)
    found, problems = store.records()
    assert found == [record(1)]
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert store.get(record().key) is None
    store.put(record())
    assert store.get(record().key) == record()
    assert path.with_suffix(".damaged").read_text() == content


def test_a_record_under_another_name_is_not_believed(store: Store) -> None:
    store.put(record())
    path = store.records_folder / f"{record().name}.json"
    path.rename(path.with_stem("0" * 32))
    assert store.records()[0] == []


def test_half_written_files_are_not_seen(store: Store) -> None:
    store.put(record())
    (store.records_folder / ".abc.json.xyz.tmp").write_text('{"key": ')
    assert store.records() == ([record()], [])


def test_the_plan_names_each_trial_once_and_what_decides_it() -> None:
    trials = plan([REFERENCE], {"quadratic": shipped("quadratic-quick-jax-0")}, load_tuned(), 0)
    names = [key_hash(t.key) for t in trials]
    assert len(set(names)) == len(names) == 40
    kinds = [t.key["trial"] for t in trials]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "conformance": 12,
        "evaluation": 5,
        "mechanisms": 23,
    }
    for wanted in ("versions", "code", "weights", "task", "seed", "dtype", "device"):
        assert all(wanted in t.key for t in trials)
    other = plan([REFERENCE], {"quadratic": shipped("quadratic-quick-jax-0")}, load_tuned(), 1)
    assert not {key_hash(t.key) for t in other} & set(names)


def test_records_are_plain_json(store: Store) -> None:
    store.put(record())
    path = store.records_folder / f"{record().name}.json"
    assert json.loads(path.read_text())["key"] == record().key
