"""The store: round trips, validation, and damaged or foreign files."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from loptbench.discovery import Availability, DiscoveredImplementation
from loptbench.errors import StoreError
from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.results.frames import FRAMES
from loptbench.results.schema.evaluation import LearnedResult
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.mechanisms import UpdateFunctionResult
from loptbench.results.schema.plan import ImplementationState, Plan
from loptbench.results.store import MARKER, Record, Store
from loptbench.study.plan import plan
from loptbench.tests.reports.made_mechanisms import update_function
from loptbench.tests.reports.made_records import (
    conformance,
    evaluation,
    everything,
    mechanisms,
    verdict,
)
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.harness

REFERENCE = DiscoveredImplementation(
    "reference", "here", Availability.INSTALLED, implementation=Reference()
)


def record(i: int = 0) -> Record:
    return conformance(seed=i)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def test_a_round_trip(store: Store) -> None:
    store.put(record())
    assert store.get(record().key) == record()
    assert store.get(record(1).key) is None
    assert store.records() == ([record()], [])


EVERY_KIND = [
    *everything(),
    evaluation([1.0, None, 3.0]),
    conformance("failed", None),
    mechanisms(momentum="the response never ends", schedule="no rate"),
    conformance(seed=1).model_copy(update={"result": None, "message": "raised ValueError: ä"}),
]


@pytest.mark.parametrize("written", EVERY_KIND, ids=lambda record: record.key.trial)
def test_every_kind_of_record_is_read_as_written_and_written_as_the_same_bytes(
    store: Store, written: Record
) -> None:
    store.put(written)
    path = store.records_folder / f"{written.name}.json"
    before = path.read_bytes()
    loaded = store.get(written.key)
    assert loaded == written
    assert loaded is not None
    store.put(loaded)
    assert path.read_bytes() == before


def test_what_is_not_finite_is_written_as_null(store: Store) -> None:
    written = evaluation([1.0, None])
    store.put(written)
    content = json.loads((store.records_folder / f"{written.name}.json").read_text())
    assert content["result"]["learned"]["objective"] == [1.0, None]
    assert content["result"]["learned"]["objective_standard_error"] is None
    loaded = store.get(written.key)
    assert loaded is not None
    assert isinstance(loaded.result, LearnedResult)
    assert loaded.result.learned.objective.tolist() == [1.0, np.inf]
    assert loaded.result.learned.objective_mean == np.inf
    assert np.isnan(loaded.result.learned.objective_standard_error)


def test_a_half_saturation_that_is_known_and_null_is_infinite(store: Store) -> None:
    state = update_function("h*", [np.inf, np.nan])
    state = state.model_copy(update={"half_saturation_is_known": np.array([True, False])})
    text = state.model_dump_json()
    assert '"half_saturation":[null,null]' in text
    loaded = UpdateFunctionResult.model_validate_json(text, strict=True)
    assert loaded.half_saturation[0] == np.inf
    assert np.isnan(loaded.half_saturation[1])
    assert loaded == state


def test_the_name_is_the_hash_of_the_whole_key() -> None:
    key = record().key
    values = key.model_dump(mode="json")
    assert TrialKey(**dict(reversed(values.items()))).name == key.name
    assert TrialKey(**values | {"seed": 1}).name != key.name
    role = {"role": "tuned", "name": "adam"}
    assert TrialKey(**values | {"optimizer": role}).name != key.name


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
    """A folder that cannot be written, even by root, who may ignore permissions."""
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
    (store.folder / MARKER).write_text('{"format_version": 4}')
    for opened in (Store.open, Store.create):
        with pytest.raises(StoreError, match="store format version 4; this loptbench reads 3"):
            opened(store.folder)


def test_an_older_store_is_refused_with_what_to_do_and_left_alone(store: Store) -> None:
    marker = store.folder / MARKER
    marker.write_text('{"format_version": 1}')
    for opened in (Store.open, Store.create):
        with pytest.raises(StoreError, match=f"call 'loptbench run --store {store.folder}-3'"):
            opened(store.folder)
    assert marker.read_text() == '{"format_version": 1}'


@pytest.mark.parametrize("content", ['{"format_version": "3"}', "[]", "{}", "{"])
def test_a_damaged_marker(store: Store, content: str) -> None:
    (store.folder / MARKER).write_text(content)
    with pytest.raises(StoreError, match=f"{MARKER} is damaged: "):
        Store.open(store.folder)


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """The JSON value with `new` at the end of a path; `...` removes the entry."""
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    elif new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = new
    return copy


POINT = ("result", "convergence_point")
INVALID = [
    (conformance(), ("key", "optimizer"), "checkpoint x", "key.optimizer: .* it is 'checkpoint x'"),
    (conformance(), ("key", "optimizer", "role"), "hero", "key.optimizer.role: .*'checkpoint'"),
    (conformance(), ("key", "seed"), ..., "the field key.seed is missing"),
    (conformance(), ("key", "author"), "me", "key.author: .* not permitted"),
    (
        conformance(),
        ("status",),
        "fine",
        "status: .*'failed'.*but it is 'fine'",
    ),
    (conformance(), ("result", "checks", 0, "level"), 9, "result.checks.0.level: .*less than"),
    (conformance(), ("result", "checks", 0, "status"), ..., "result.checks.0.status is missing"),
    (conformance(), ("result",), {"x": 1}, "result: input should be the result of a trial"),
    (conformance(), ("result",), [], "result: "),
    (conformance(), ("key", "trial"), "mechanisms", "should be a MechanismsResult, but is a"),
    (conformance(), ("provenance", "seconds"), -1.0, "provenance.seconds: .*greater than"),
    (evaluation(), ("result", "learned", "objective"), [1.0, "2"], r"learned.objective.1: .*'2'"),
    (evaluation(), ("result", "learned", "objective"), 1.0, "result.learned.objective: .*array"),
    (evaluation(), ("result", "learned", "n_problems"), True, "n_problems: .*integer.*is True"),
    (evaluation(), ("result", "learned", "curve_mean"), ..., "learned.curve_mean is missing"),
    (mechanisms(), (*POINT, "A"), [[1.0], [1.0, 2.0]], "convergence_point.A: .*equal lengths"),
    (mechanisms(), (*POINT, "A"), [1.0], "convergence_point.A.0: .*array, but it is 1.0"),
    (mechanisms(), (*POINT, "stable"), "yes", "convergence_point.stable: .*but it is 'yes'"),
    (mechanisms(), (*POINT, "stable"), ..., "convergence_point.stable is missing"),
    (mechanisms(), POINT, {"not_applicable": 3}, "convergence_point.not_applicable: .*string"),
    (mechanisms(), ("result", "adaptation", "settled", 1), 1, "adaptation.settled.1: .*boolean"),
    (mechanisms(), ("result", "adaptation", "settled", 1), None, "adaptation.settled.1: .*boolean"),
]


@pytest.mark.parametrize(("written", "place", "new", "message"), INVALID)
def test_a_record_that_does_not_validate_names_the_field_and_leaves_the_others(
    store: Store, written: Record, place: tuple[str | int, ...], new: Any, message: str
) -> None:
    intact = conformance(seed=1)
    store.put(intact)
    store.put(written)
    path = store.records_folder / f"{written.name}.json"
    path.write_text(json.dumps(replaced(json.loads(path.read_text()), place, new)))
    records, problems = store.records()
    assert records == [intact]
    (problem,) = problems
    assert problem.startswith(f"{path} is damaged: ")
    assert problem.endswith("; remove it and run again")
    assert re.search(message, problem), problem
    assert len(problem) < len(str(path)) + 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(store: Store, number: str) -> None:
    written = evaluation()
    store.put(written)
    path = store.records_folder / f"{written.name}.json"
    path.write_text(path.read_text().replace('"objective":[1.0', f'"objective":[{number}'))
    assert "result.learned.objective.0: " in store.records()[1][0]


DAMAGED = ["", "{", "[]", '{"key": {}}', '{"key": {}, "status": "fine"}', "\x00\xff"]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_named_replaced_and_kept(store: Store, content: str) -> None:
    store.put(record())
    store.put(record(1))
    path = store.records_folder / f"{record().name}.json"
    path.write_text(content)
    records, problems = store.records()
    assert records == [record(1)]
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


def test_the_plan_names_each_trial_once() -> None:
    checkpoints = {"quadratic": shipped("quadratic-quick-jax-0")}
    trials = plan([REFERENCE], checkpoints, load_tuned(), 0)
    names = [trial.key.name for trial in trials]
    assert len(set(names)) == len(names) == 31
    assert Counter(str(trial.key.trial) for trial in trials) == {
        "conformance": 18,
        "evaluation": 5,
        "mechanisms": 8,
    }
    roles = Counter(str(trial.key.optimizer.role) for trial in trials)
    assert set(roles) == {"checkpoint", "tuned", "baselines", "control", "case"}
    assert not any(" " in trial.key.optimizer.role for trial in trials)
    learned = {
        trial.key.optimizer.name for trial in trials if trial.key.optimizer.role == "checkpoint"
    }
    assert learned == {"quadratic"}
    other_trials = plan([REFERENCE], checkpoints, load_tuned(), 1)
    assert not {trial.key.name for trial in other_trials} & set(names)


def test_plan_and_verdicts_are_read_as_written(store: Store) -> None:
    assert store.plan() is None
    assert store.verdicts() == ()
    written = Plan(
        trials=(record().key,),
        implementations=(ImplementationState(name="jax", availability="installed", reason=""),),
    )
    store.put_plan(written)
    assert store.plan() == written
    verdicts = (verdict(), verdict(checkpoint="quadratic-quick-jax-0", value=None))
    store.put(record())
    store.put_verdicts(verdicts, [record()])
    assert store.verdicts() == verdicts
    assert store.verdicts_are_of([record()])
    assert not store.verdicts_are_of([])


def test_a_verdict_is_on_a_checkpoint_or_on_seeds() -> None:
    for values in ({"checkpoint": ""}, {"checkpoint": "x", "preset": "quick"}):
        with pytest.raises(ValidationError, match="names a checkpoint, or a preset"):
            verdict(**values, scope="checkpoint")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("plan.json", '{"trials": 3, "implementations": []}', "trials: .*but it is 3"),
        ("plan.json", "{}", "the field trials is missing"),
        ("verdicts.json", '{"verdicts": [{}], "drawn_from": ""}', "verdicts.0.claim is missing"),
    ],
)
def test_a_damaged_plan_and_damaged_verdicts(
    store: Store, name: str, content: str, message: str
) -> None:
    (store.folder / name).write_text(content)
    with pytest.raises(StoreError, match=f"{name} is damaged: .*{message}"):
        store.plan() if name == "plan.json" else store.verdicts()


def test_an_unknown_frame_lists_those_there_are(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no frame 'ratio'; the frames are trials, "):
        store.frame("ratio")
    assert "ratios" in store.frames
    assert store.frame("ratios").empty


@pytest.mark.parametrize("name", Store(Path()).frames)
def test_every_frame_of_a_store_of_everything(store: Store, name: str) -> None:
    for written in everything():
        store.put(written)
    assert store.frame(name).columns.tolist() == list(FRAMES[name].columns)
