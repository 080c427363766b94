"""Checkpoints of `renn`, the library of the paper's authors, read without running any code.

A checkpoint is a folder with two files. `config.yml` has the numbers `num_units`, `input_scale` and
`output_scale`. `theta.bin` is msgpack with three extension types:

    1  array        [bytes in C order, name of a NumPy dtype, shape]
    2  tuple        the list of its items
    3  linear map   (A, W, b): input weights (n, 1), recurrent weights (n, n), bias (n,)

and holds a tuple of the network and of the readout ((n, 1), (1,)). The network is a table with
`initial_state` (n,) and `weights`, a list of one layer: a pair whose first part is a table of the
linear maps `update_gate`, `reset_gate` and `cell_state`. The equations are those of `gru`.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.optimizers.gru import gru
from loptbench.reading import DEEPEST_NESTING, read_file, require_path, require_table, shorten
from loptbench.storage.weights import Checkpoint

CONFIG, WEIGHTS = "config.yml", "theta.bin"

ARRAY, TUPLE, LINEAR_MAP = 1, 2, 3

GATES = {"z": "update_gate", "r": "reset_gate", "c": "cell_state"}

MAX_UNITS = 4096
"""The largest number of units; three matrices of 4,096² numbers in float32 are 200 MB."""

LARGEST_CONFIG = 2**20
"""Bytes of the settings; those of the authors have some hundred."""

FLOATING = re.compile(r"[<>=|]?f[48]|float(32|64)")

Array = NDArray[Any]


def load_renn(folder: Path, task: str) -> Checkpoint:
    """The learned optimizer in a folder that the authors' library wrote.

    Args:
        folder: the folder with `config.yml` and `theta.bin`.
        task: the name of the task that it was meta-trained on, which the files do not say.

    Raises:
        WeightsError: a file is missing, damaged or too large, or holds another network than one
            layer of gated recurrent units with a linear readout.
        LoptbenchError: a library that reads the format is not installed.
    """
    if not require_path(folder, WeightsError).is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise WeightsError(f"{folder} {problem}; give the folder with {CONFIG} and {WEIGHTS}")
    n, constants = _read_config(folder / CONFIG)
    path = folder / WEIGHTS
    content = read_file(path, WeightsError)
    try:
        parameters = _parameters(_unpack(content), n)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is no checkpoint of renn: {error}") from error
    return Checkpoint(gru(parameters, **constants), task, {"imported_from": "renn"})


def _read_config(path: Path) -> tuple[int, dict[str, float]]:
    """The number of units, and the constants of a GRU."""
    content = read_file(path, WeightsError)
    if len(content) > LARGEST_CONFIG:
        raise WeightsError(f"{path} is too large: settings have at most {LARGEST_CONFIG} bytes")
    try:
        config = require_table(_parse_yaml(content.decode()), "it")
        missing = [
            name for name in ("num_units", "input_scale", "output_scale") if name not in config
        ]
        if missing:
            raise ValueError(f"it has no {missing[0]!r}")
        n = config["num_units"]
        if type(n) is not int or not 1 <= n <= MAX_UNITS:
            raise ValueError(f"num_units should be 1 to {MAX_UNITS}, not {shorten(n)}")
        names = ("input_scale", "output_scale")
        scales = {name: _finite(_entry(config, name, "it"), name) for name in names}
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} are no settings of renn: {error}") from error
    return n, scales


def _finite(value: Any, name: str) -> float:
    # YAML 1.1 reads 1e-3, without a point, as text.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} should be a finite number, not {shorten(value)}")
    return number


def _parse_yaml(text: str) -> Any:
    """A text of YAML as plain values; an object of a Python class is null, and nothing is run."""
    try:
        import yaml
    except ImportError as error:
        raise _not_installed("pyyaml") from error

    Loader: Any = type("Loader", (yaml.SafeLoader,), {})  # a constructor is added to it alone
    Loader.add_constructor(None, lambda _loader, _node: None)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML ({' '.join(str(error).split())})") from error


def _unpack(content: bytes, depth: int = 0) -> Any:
    """The values in msgpack: extension 1 as an array, 2 as a tuple, 3 as a dict of A, W and b."""
    try:
        import msgpack
    except ImportError as error:
        raise _not_installed("msgpack") from error
    if depth > DEEPEST_NESTING:
        raise ValueError(f"it is nested more than {DEEPEST_NESTING} deep")

    def extension(code: int, payload: bytes) -> Any:
        if code not in (ARRAY, TUPLE, LINEAR_MAP):
            raise ValueError(f"it has an extension type {code}, which renn does not write")
        value = _unpack(payload, depth + 1)
        if code == ARRAY:
            return _array(value)
        if not isinstance(value, list | tuple):
            raise ValueError(f"an extension {code} should hold a list, not {shorten(value)}")
        if code == TUPLE:
            return tuple(value)
        if len(value) != 3:
            raise ValueError(f"a linear map should have three arrays, not {len(value)}")
        return dict(zip("AWb", value, strict=True))

    try:
        # What it allocates is bounded by the length of the content.
        return msgpack.unpackb(content, ext_hook=extension, strict_map_key=True)
    except (msgpack.UnpackException, msgpack.exceptions.ExtraData, UnicodeDecodeError) as error:
        raise ValueError(f"it is not whole msgpack ({type(error).__name__}: {error})") from error


def _array(value: Any) -> Array:
    """The array of [bytes, dtype, shape]."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ValueError(f"an array should be [bytes, dtype, shape], not {shorten(value)}")
    content, dtype, shape = value
    if isinstance(dtype, bytes):
        dtype = dtype.decode(errors="replace")
    if not isinstance(dtype, str) or not FLOATING.fullmatch(dtype):
        raise ValueError(f"an array should be float32 or float64, not {shorten(dtype)}")
    sizes = list(shape) if isinstance(shape, list | tuple) else None
    if sizes is None or any(type(size) is not int or size < 0 for size in sizes):
        raise ValueError(f"the shape of an array should be a list of sizes, not {shorten(shape)}")
    expected = math.prod(sizes) * np.dtype(dtype).itemsize
    if not isinstance(content, bytes) or len(content) != expected:
        n_bytes = len(content) if isinstance(content, bytes) else f"{type(content).__name__}, not"
        raise ValueError(
            f"an array of the shape {tuple(sizes)} in {dtype} should have {expected} bytes, but it "
            f"has {n_bytes} bytes"
        )
    array = np.frombuffer(content, dtype).reshape(sizes)
    return array.astype(array.dtype.newbyteorder("="))


def _parameters(theta: Any, n: int) -> dict[str, Array]:
    """The parameters of a `gru` of n units in what `theta.bin` holds."""
    network, readout = _items(theta, 2, "it")
    network = _table(network, "the network")
    layers = _items(_entry(network, "weights", "the network"), None, "its layers")
    if len(layers) != 1:
        raise ValueError(f"it has {len(layers)} layers, but loptbench computes one")
    layer = _table(_items(layers[0], 2, "a layer")[0], "a layer's network")
    w, b = _items(readout, 2, "the readout")
    parameters = {
        "h0": _shaped(_entry(network, "initial_state", "the network"), (n,), "initial_state"),
        "w": _shaped(w, (n, 1), "the readout's weights")[:, 0],
        "b": _shaped(b, (1,), "the readout's bias")[0],
    }
    for gate, name in GATES.items():
        linear = _table(_entry(layer, name, "the layer"), name)
        for part, shape in (("A", (n, 1)), ("W", (n, n)), ("b", (n,))):
            array = _shaped(_entry(linear, part, name), shape, f"{part} of {name}")
            own = {"A": "a", "W": "W", "b": "b"}[part]
            parameters[f"{own}_{gate}"] = array[:, 0] if part == "A" else array
    dtype = np.result_type(*parameters.values())
    return {name: np.array(array, dtype, order="C") for name, array in parameters.items()}


def _items(value: Any, n: int | None, what: str) -> list[Any]:
    if not isinstance(value, list | tuple) or (n is not None and len(value) != n):
        wanted = "a list" if n is None else f"a tuple of {n}"
        raise ValueError(f"{what} should be {wanted}, not {shorten(value)}")
    return list(value)


def _table(value: Any, what: str) -> dict[str, Any]:
    table: dict[Any, Any] = require_table(value, what)
    return {
        key.decode(errors="replace") if isinstance(key, bytes) else key: table[key] for key in table
    }


def _entry(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise ValueError(f"{what} has no {name!r}, only {shorten(sorted(map(str, table)))}")
    return table[name]


def _shaped(value: Any, shape: tuple[int, ...], what: str) -> Array:
    if not isinstance(value, np.ndarray) or value.shape != shape:
        found = value.shape if isinstance(value, np.ndarray) else shorten(value)
        raise ValueError(f"{what} should be an array of the shape {shape}, but it is {found}")
    if not np.all(np.isfinite(value)):
        raise ValueError(f"{what} has numbers that are not finite")
    return value


def _not_installed(library: str) -> LoptbenchError:
    return LoptbenchError(
        f"checkpoints of renn are read by {library}, which is not installed; "
        "pip install 'loptbench[renn]'"
    )
