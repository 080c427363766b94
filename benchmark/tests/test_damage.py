"""Files that are damaged at random: every reader refuses them in words, or reads them."""

import copy
import gzip
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.claims.evidence import evidence_of
from loptbench.claims.judging import judge
from loptbench.claims.verdicts import judge_all
from loptbench.errors import LoptbenchError
from loptbench.optimizers import random_gru
from loptbench.results.frames import FRAMES, Contents, frame_of
from loptbench.results.store import MARKER, Store
from loptbench.storage.weights import (
    Checkpoint,
    read_safetensors,
    safetensors_bytes,
    save_checkpoint,
)
from loptbench.study.plan import plan
from loptbench.tasks.idx import IMAGES, LABELS, read_mnist
from loptbench.tests.fixture_types import Command, Make
from loptbench.tests.reports.made_records import everything, verdict
from loptbench.training.settings import load_config, recorded_configuration
from loptbench.tuning.tuned_file import load_tuned, shipped_path
from loptbench.zoo.loading import load

pytestmark = pytest.mark.harness


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LONG = "LONG NUMBER"
"""Stands for a number of 5,000 digits, which the json module refuses to write."""

VALUES: list[Any] = [
    *(None, True, [], {}, "", "text", "\0", -1, 0, 0.5, 10**18, 10**40, 1e308, float("inf")),
    *(float("nan"), [None], {"a": None}, [[1], 2], "9" * 5000, LONG, nested(30), nested(900)),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values inside a value, its own included."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value[:3]):
            yield from places(inner, (*path, i))


def mutated(value: Any, rng: np.random.Generator) -> Any:
    """A copy with one value replaced, removed, doubled or added."""
    value = copy.deepcopy(value)
    everywhere = [*places(value)]
    path = everywhere[rng.integers(len(everywhere))]
    replacement = VALUES[rng.integers(len(VALUES))]
    if not path:
        return replacement
    inside = value
    for step in path[:-1]:
        inside = inside[step]
    match rng.integers(4):
        case 0 if isinstance(inside, dict):
            del inside[path[-1]]
        case 1 if isinstance(inside, dict):
            inside["unknown"] = replacement
        case 2 if isinstance(inside, list):
            inside.append(inside[path[-1]])
        case _:
            inside[path[-1]] = replacement
    return value


def as_text(value: Any) -> str:
    return json.dumps(value).replace(f'"{LONG}"', "7" * 5000)


def damaged_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes that are cut, changed or repeated."""
    at = int(rng.integers(len(content)))
    match rng.integers(4):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + bytes([rng.integers(256)]) + content[at + 1 :]
        case 2:
            return content[:at] + content[at // 2 :]
        case _:
            return content[:at] + b"\xff\0" + content[at:]


def refused(read: Callable[[], object]) -> str:
    """Why a file is refused; empty if it is not. Anything but words ends the test."""
    try:
        read()
        return ""
    except LoptbenchError as error:
        message = str(error)
    assert 0 < len(message) < 2000
    return message


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    about = {
        "implementation": "jax",
        "versions": {"jax": "1"},
        "configuration": {"seed": 3, "preset": "quick", "task": "quadratic"},
        "best_outer_step": 5,
        "best_validation": 0.5,
        "log": [{"step": 0, "validation": 0.7}, {"step": 5, "validation": 0.5, "objective": 0.6}],
    }
    save_checkpoint(Checkpoint(random_gru(3, 0), "quadratic", about), path)
    return path


def use(path: Path) -> None:
    """What `run` does with a checkpoint before it measures anything, and what it records of it."""
    from loptbench.results.schema.evaluation import MetaTraining

    loaded = load(path)
    plan([], {"mine": loaded}, load_tuned(), 0)
    recorded_configuration(loaded.meta_training)
    about = MetaTraining.model_validate(dict(loaded.meta_training))
    assert isinstance(about.preset, str)
    assert about.seed is None or abs(about.seed) < 2**63
    json.dumps(about.model_dump(mode="json"), allow_nan=False)


def with_metadata(path: Path, name: str, text: str) -> None:
    arrays, metadata = read_safetensors(path)
    path.write_bytes(safetensors_bytes(arrays, metadata | {name: text}))


TABLES = ["null", "[]", "3", '"text"', "[" * 1000 + "]" * 1000, "7" * 5000, "{", "NaN", ""]


@pytest.mark.parametrize("name", ["meta_training", "constants"])
@pytest.mark.parametrize("text", TABLES, ids=lambda text: text[:8] or "empty")
def test_metadata_that_is_no_table_is_refused(checkpoint: Path, name: str, text: str) -> None:
    with_metadata(checkpoint, name, text)
    assert f"the metadata of {checkpoint} cannot be read" in refused(lambda: load(checkpoint))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"log": 3}, "log"),
        ({"log": [{"step": "x", "validation": 0.1}]}, "log.0.step"),
        ({"implementation": ["jax"]}, "implementation"),
        ({"versions": {"jax": 3}}, "versions.jax"),
        ({"configuration": []}, "configuration"),
        ({"best_validation": {}}, "best_validation"),
        ({"configuration": {"seed": 10**40}}, "is larger than"),
    ],
)
def test_metadata_of_another_form_is_refused_by_field(
    checkpoint: Path, about: dict[str, Any], said: str
) -> None:
    with_metadata(checkpoint, "meta_training", json.dumps(about))
    assert said in refused(lambda: load(checkpoint))


@pytest.mark.parametrize("content", ["null", "[]", "3", '{"key": 7}', "[" * 10**5, "7" * 5000])
def test_a_bad_record_is_left_out_and_named(make: Make, content: str) -> None:
    store = make("a", everything(), verdict())
    bad = store.records_folder / f"{everything()[0].name}.json"
    bad.write_text(content)
    records, problems = store.records()
    assert len(records) == len([*everything()]) - 1
    assert len(problems) == 1
    assert f"{bad} is damaged" in problems[0]
    assert store.get(everything()[0].key) is None
    judge(store)


def test_run_names_a_bad_record_and_goes_on(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = folder / "results" / "records"
    Store.create(folder / "results")
    (records / "bad.json").write_text("[]")
    monkeypatch.setattr("loptbench.study.run.plan", lambda *_: [])
    code, out, err = command("run", "--store", "results", "--implementation", "reference")
    assert code == 0, err
    assert f"left out: {Path('results') / 'records' / 'bad.json'} is damaged" in out


def test_a_compressed_file_that_holds_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_bytes(struct.pack(">2I", 0x801, 1) + b"\1")
    with gzip.open(tmp_path / f"{IMAGES}.gz", "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(bytes(2**20))
    assert "is too large" in refused(lambda: read_mnist(tmp_path))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Store.create(Path("a\0b")),
        lambda: Store.open(Path("a\0b")),
        lambda: load("a\0b"),
        lambda: load_tuned(Path("a\0b")),
        lambda: load_config(Path("a\0b"), "quadratic", {}),
        lambda: read_mnist(Path("a\0b")),
        lambda: save_checkpoint(Checkpoint(random_gru(3, 0), "quadratic"), Path("a\0b")),
    ],
)
def test_a_path_with_a_null_character_is_refused(call: Callable[[], object]) -> None:
    assert r"'a\x00b' is no path" in refused(call)


N_MUTATIONS = 150
"""Of each kind of file."""


@pytest.mark.slow
def test_checkpoints_that_are_damaged_at_random(checkpoint: Path) -> None:
    rng = np.random.default_rng(0)
    good = checkpoint.read_bytes()
    arrays, metadata = read_safetensors(checkpoint)
    n_refused = 0
    for i in range(N_MUTATIONS):
        if i % 3:
            name = ["meta_training", "constants"][i % 2]
            text = as_text(mutated(json.loads(metadata[name]), rng))
            checkpoint.write_bytes(safetensors_bytes(arrays, metadata | {name: text}))
        else:
            checkpoint.write_bytes(damaged_bytes(good, rng))
        n_refused += bool(refused(lambda: use(checkpoint)))
    assert N_MUTATIONS // 3 < n_refused <= N_MUTATIONS


@pytest.mark.slow
def test_records_that_are_damaged_at_random(make: Make) -> None:
    store = make("a", everything(), verdict())
    rng = np.random.default_rng(1)
    files = [*sorted(store.records_folder.glob("*.json")), store.folder / "plan.json"]
    files += [store.folder / "verdicts.json", store.folder / MARKER]
    n_named = 0
    for i in range(2 * N_MUTATIONS):
        file = files[rng.integers(len(files))]
        good = file.read_bytes()
        bad = damaged_bytes(good, rng) if i % 5 == 0 else as_text(mutated(json.loads(good), rng))
        file.write_bytes(bad if isinstance(bad, bytes) else bad.encode())
        if file.name == MARKER:
            n_named += bool(refused(lambda: Store.open(store.folder)))
        else:
            contents = Contents.of(store)
            n_named += bool(contents.problems)
            assert all(str(store.folder) in problem for problem in contents.problems)
            judge_all(evidence_of(contents))
            for name in FRAMES:
                frame_of(contents, name)
        file.write_bytes(good)
    assert N_MUTATIONS < n_named <= 2 * N_MUTATIONS


@pytest.mark.slow
def test_tuned_baselines_that_are_damaged_at_random(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    good = json.loads(shipped_path("jax").read_text())
    file = tmp_path / "tuned.json"
    n_refused = 0
    for _ in range(N_MUTATIONS):
        file.write_text(as_text(mutated(good, rng)))

        def read() -> None:
            tuned = load_tuned(file)
            plan([], {}, tuned, 0)
            assert all(entry.on_edge is not None and entry.n_draws for entry in tuned.entries)

        n_refused += bool(refused(read))
    assert N_MUTATIONS // 3 < n_refused <= N_MUTATIONS


@pytest.mark.slow
def test_settings_and_images_that_are_damaged_at_random(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    settings = tmp_path / "settings.toml"
    names = ["n_outer_steps", "seed", "clip", "dtype", "clipping", "n_units", "unknown"]
    values = ["null", "[]", "7" * 5000, "[" * 900, "1e999", "nan", "{a = 1}", '"x"', "-1", "10_0"]
    images = idx_files()
    n_settings, n_images = 0, 0
    for i in range(N_MUTATIONS):
        name, value = names[rng.integers(len(names))], values[rng.integers(len(values))]
        text = f"n_outer_steps = 3\n{name} = {value}\n".encode()
        settings.write_bytes(damaged_bytes(text, rng) if i % 3 == 0 else text)
        n_settings += bool(refused(lambda: load_config(settings, "quadratic", {})))
        for file, content in images.items():
            (tmp_path / file).write_bytes(content)
        file = [*images][i % len(images)]
        (tmp_path / file).write_bytes(damaged_bytes(images[file], rng))
        n_images += bool(refused(lambda: read_mnist(tmp_path)))
    assert N_MUTATIONS // 3 < n_settings <= N_MUTATIONS
    assert N_MUTATIONS // 3 < n_images <= N_MUTATIONS


def idx_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, 30 * 28 * 28, dtype=np.uint8).tobytes()
    labels = bytes(i % 10 for i in range(30))
    return {
        IMAGES: gzip.compress(struct.pack(">4I", 0x803, 30, 28, 28) + pixels),
        LABELS: struct.pack(">2I", 0x801, 30) + labels,
    }
