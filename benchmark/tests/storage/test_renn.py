"""Checkpoints of the authors' library: what they hold, and what is refused.

`renn_small` was written by the authors' own code: 6 units with random weights, and in
`expected.npz` what that code does with it in float32.
"""

import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from loptbench.cli.main import cli
from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError, WeightsError
from loptbench.storage.renn import load_renn
from loptbench.storage.weights import load_checkpoint

msgpack = pytest.importorskip("msgpack")
pytest.importorskip("yaml")

SMALL = Path(str(resources.files("loptbench.tests.storage") / "renn_small"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the checkpoint, to be damaged."""
    shutil.copytree(SMALL, tmp_path / "small")
    return tmp_path / "small"


@pytest.mark.parametrize("name", ["reference", "torch", "jax"])
def test_it_does_what_the_authors_code_does(name: str) -> None:
    if name != "reference":
        pytest.importorskip(name)
    implementation = get_implementation(name)
    checkpoint = load_renn(SMALL, "quadratic")
    expected = np.load(SMALL / "expected.npz")
    optimizer = implementation.optimizer(checkpoint.optimizer, "float64", "cpu")
    state, parameters = optimizer.initial_state(3), np.zeros(3)
    for gradient, after in zip(expected["gradients"], expected["parameters"], strict=True):
        state, update = optimizer.step(state, gradient.astype(np.float64))
        parameters = parameters + update
        # 40 steps in float32: each update is rounded, of sums of some six terms below 1.
        np.testing.assert_allclose(parameters, after, rtol=0, atol=1e-6)


def test_the_command_writes_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["import", "renn", str(SMALL), "--task", "rosenbrock"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == "renn_small.safetensors\n"
    checkpoint = load_checkpoint(tmp_path / "renn_small.safetensors")
    assert checkpoint.task == "rosenbrock"
    assert checkpoint.sha256 == load_renn(SMALL, "rosenbrock").sha256
    again = CliRunner().invoke(cli, arguments)
    assert isinstance(again.exception, WeightsError)
    assert "is not overwritten" in str(again.exception)


def test_it_is_analyzed_like_any_other(tmp_path: Path) -> None:
    from loptbench.study.analyze import analyze

    checkpoint = load_renn(SMALL, "quadratic")
    analysis = analyze(checkpoint.optimizer, n_problems=2)
    assert analysis.convergence_point


def packed(code: int, value: Any) -> Any:
    return msgpack.ExtType(code, msgpack.packb(value))


def array(values: Any, dtype: str = "<f4") -> Any:
    values = np.asarray(values, dtype)
    return packed(1, [values.tobytes(), dtype, list(values.shape)])


def theta(n: int = 2, layers: int = 1, dtype: str = "<f4", **changes: Any) -> bytes:
    """`theta.bin` with n units, and some entries changed."""
    parts = {
        name: packed(
            3, packed(2, [array(np.ones(shape), dtype) for shape in ((n, 1), (n, n), (n,))])
        )
        for name in ("update_gate", "reset_gate", "cell_state")
    }
    layer = parts | {"initial_state": array(np.zeros(n), dtype)}
    layer |= changes.get("layer", {})
    network = {
        "initial_state": array(np.full(n, 0.5), dtype),
        "weights": [packed(2, [layer, packed(2, [])])] * layers,
    } | changes.get("network", {})
    readout = packed(2, [array(np.ones((n, 1)), dtype), array([0.25], dtype)])
    content: bytes = msgpack.packb(packed(2, [network, changes.get("readout", readout)]))
    return content


def write(folder: Path, content: bytes, n: int = 2) -> None:
    (folder / "theta.bin").write_bytes(content)
    (folder / "config.yml").write_text(f"num_units: {n}\ninput_scale: 1.0\noutput_scale: 1.0\n")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "float32", "float64"])
def test_every_order_of_bytes_is_read(folder: Path, dtype: str) -> None:
    write(folder, theta(dtype=dtype))
    parameters = load_renn(folder, "quadratic").optimizer.parameters
    assert parameters["h0"].tolist() == [0.5, 0.5]
    assert parameters["b"].tolist() == 0.25
    assert parameters["w"].dtype == np.dtype(dtype).newbyteorder("=")


def test_the_initial_state_is_that_of_the_network(folder: Path) -> None:
    write(folder, theta(layer={"initial_state": array([7.0, 7.0])}))
    assert load_renn(folder, "quadratic").optimizer.parameters["h0"].tolist() == [0.5, 0.5]


def test_other_settings_and_python_objects_are_ignored(folder: Path) -> None:
    text = (folder / "config.yml").read_text()
    (folder / "config.yml").write_text(
        f"{text}cell: gru\nshape: !!python/tuple [1, 2]\nrun: !!python/object/apply:os.abort []\n"
    )
    assert load_renn(folder, "quadratic").sha256 == load_renn(SMALL, "quadratic").sha256


def nested(depth: int) -> bytes:
    content = packed(2, [])
    for _ in range(depth):
        content = packed(2, [content])
    whole: bytes = msgpack.packb(content)
    return whole


WEIGHTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "incomplete input"),
    "text": (b"<html>not found</html>", "it is an HTML page"),
    "cut": (theta()[:-9], "incomplete input|exceeds max_ext_len"),
    "more behind": (theta() + b"\x00", "not whole msgpack"),
    "null": (msgpack.packb(None), "it should be a tuple of 2, not None"),
    "three parts": (msgpack.packb(packed(2, [1, 2, 3])), "it should be a tuple of 2"),
    "other extension": (msgpack.packb(packed(7, 1)), "extension type 7"),
    "nested in extensions": (nested(200), "nested more than 64 deep"),
    "nested in lists": (b"\x91" * 100_000 + b"\xc0", "no checkpoint of renn"),
    "a promise of 4 GB": (b"\xdd\xff\xff\xff\xff\x00", "exceeds max_array_len"),
    "two layers": (theta(layers=2), "2 layers, but loptbench computes one"),
    "no layer": (theta(layers=0), "0 layers"),
    "other size": (theta(n=3), "should be an array of the shape (2"),
    "no gate": (theta(network={"weights": [packed(2, [{}, []])]}), "has no 'update_gate'"),
    "empty layer": (theta(network={"weights": [packed(2, [])]}), "a layer should be a tuple of 2"),
    "a number as weights": (theta(network={"weights": 3}), "its layers should be a list"),
    "no initial state": (theta(network={"initial_state": None}), "'initial_state'|initial_state"),
    "NaN": (theta(network={"initial_state": array([np.nan, 0.0])}), "not finite"),
    "infinite": (theta(readout=packed(2, [array([[np.inf], [0.0]]), array([0.0])])), "not finite"),
    "whole numbers": (theta(network={"initial_state": array([1, 2], "<i4")}), "float32 or float64"),
    "objects": (theta(network={"initial_state": packed(1, [b"", "O", [2]])}), "float32 or float64"),
    "a structure": (
        theta(network={"initial_state": packed(1, [b"", "f4,f4", [2]])}),
        "float32 or float64",
    ),
    "a huge shape": (
        theta(network={"initial_state": packed(1, [b"1234", "<f4", [2**62, 2**62]])}),
        "bytes, but it has 4 bytes",
    ),
    "a negative shape": (
        theta(network={"initial_state": packed(1, [b"", "<f4", [-2]])}),
        "should be a list of sizes",
    ),
    "a map with two parts": (
        theta(layer={"reset_gate": packed(3, packed(2, [1, 2]))}),
        "three arrays, not 2",
    ),
    "a map of numbers": (
        theta(layer={"reset_gate": packed(3, packed(2, [1, 2, 3]))}),
        "A of reset_gate should be an array",
    ),
}


@pytest.mark.parametrize("fault", WEIGHTS)
def test_damaged_weights_are_refused(folder: Path, fault: str) -> None:
    content, message = WEIGHTS[fault]
    write(folder, content)
    with pytest.raises(WeightsError, match=r"theta\.bin") as caught:
        load_renn(folder, "quadratic")
    assert any(part in str(caught.value) for part in message.split("|")), caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should be a table, but it is null"),
        ("[1, 2]", "should be a table"),
        ("num_units: 6", "has no 'input_scale'"),
        ("num_units: six\ninput_scale: 1\noutput_scale: 1", "num_units should be 1 to 4096"),
        ("num_units: 0\ninput_scale: 1\noutput_scale: 1", "num_units should be 1 to 4096"),
        (f"num_units: {10**30}\ninput_scale: 1\noutput_scale: 1", "num_units should be 1 to 4096"),
        ("num_units: 6\ninput_scale: .nan\noutput_scale: 1", "finite number"),
        ("num_units: 6\ninput_scale: 1\noutput_scale: [1]", "finite number"),
        ("num_units: 6\ninput_scale: yes\noutput_scale: 1", "finite number"),
        ("a: b: c", "not YAML"),
        ("[" * 10_000, "no settings of renn"),
        ("a" * 2**21, "too large"),
        ("\x00", "not YAML"),
    ],
)
def test_damaged_settings_are_refused(folder: Path, text: str, message: str) -> None:
    (folder / "config.yml").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.yml") as caught:
        load_renn(folder, "quadratic")
    assert message in str(caught.value)


def test_scales_without_a_point_are_numbers(folder: Path) -> None:
    (folder / "config.yml").write_text("num_units: 6\ninput_scale: 1e-3\noutput_scale: 2\n")
    constants = load_renn(folder, "quadratic").optimizer.constants
    assert constants == {"input_scale": 1e-3, "output_scale": 2.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "theta.bin").unlink(), "theta.bin cannot be read"),
        (lambda folder: (folder / "config.yml").unlink(), "config.yml cannot be read"),
        (lambda folder: shutil.rmtree(folder), "does not exist; give the folder"),
    ],
)
def test_missing_files_are_named(
    folder: Path, change: Callable[[Path], object], message: str
) -> None:
    change(folder)
    with pytest.raises(LoptbenchError) as caught:
        load_renn(folder, "quadratic")
    assert message in str(caught.value)


def test_random_damage_is_refused_or_harmless(folder: Path) -> None:
    """Bytes changed or cut away: an error of loptbench, or finite parameters."""
    content = (folder / "theta.bin").read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        if rng.random() < 0.3:
            damaged = damaged[: rng.integers(0, len(damaged))]
        (folder / "theta.bin").write_bytes(bytes(damaged))
        try:
            parameters = load_renn(folder, "quadratic").optimizer.parameters
        except WeightsError:
            n_refused += 1
        else:
            assert all(np.all(np.isfinite(values)) for values in parameters.values())
    assert n_refused > 100
