"""Checkpoints: a learned optimizer's weights and metadata in one safetensors file."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from loptbench.errors import LoptbenchError, WeightsError
from loptbench.optimizers import OptimizerSpec, get_kind
from loptbench.reading import (
    LARGEST_FILE,
    disguise,
    parse_json,
    require_path,
    require_table,
    shorten,
)
from loptbench.storage.files import write_atomically

FORMAT = "loptbench-weights"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A learned optimizer and its meta-training.

    Attributes:
        optimizer: the optimizer; its arrays are float32 or float64.
        task: the name of the task that it was meta-trained on.
        meta_training: configuration, framework, versions and outcome of the meta-training.
    """

    optimizer: OptimizerSpec
    task: str
    meta_training: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The hash of all that decides its updates; see `weights_hash`."""
        return weights_hash(self.optimizer)

    def as_torch(self, parameters: Iterable[Any]) -> Any:
        """A `torch.optim.Optimizer` that trains these parameters; see `OptimizerSpec.as_torch`."""
        return self.optimizer.as_torch(parameters)

    def as_optax(self) -> Any:
        """An `optax.GradientTransformation`; see `OptimizerSpec.as_optax`."""
        return self.optimizer.as_optax()


def weights_hash(optimizer: OptimizerSpec) -> str:
    """SHA-256 over kind, convention, constants, and each array's name, dtype, shape and bytes.

    >>> from loptbench.optimizers import sgd
    >>> weights_hash(sgd(0.1)) == weights_hash(sgd(0.2))
    False
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([optimizer.kind, get_kind(optimizer.kind).convention]).encode())
    digest.update(
        json.dumps({k: float(v) for k, v in sorted(optimizer.constants.items())}).encode()
    )
    for name, array in sorted(optimizer.parameters.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to a file that does not exist yet.

    Raises:
        WeightsError: the file exists; nothing is overwritten.
        LoptbenchError: the folder cannot be written.
    """
    refuse_to_overwrite(path)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "convention": get_kind(checkpoint.optimizer.kind).convention,
        "kind": checkpoint.optimizer.kind,
        "constants": json.dumps(dict(checkpoint.optimizer.constants), sort_keys=True),
        "task": checkpoint.task,
        "meta_training": json.dumps(checkpoint.meta_training, sort_keys=True),
        "sha256": checkpoint.sha256,
    }
    write_atomically(path, safetensors_bytes(checkpoint.optimizer.parameters, metadata))


def safetensors_bytes(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with sorted keys: equal content gives equal bytes.

    The order of `safetensors` itself is random.
    """
    plain = {name: np.array(array, order="C") for name, array in arrays.items()}
    content = save(plain, dict(metadata))
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the data must stay aligned to 8 bytes
    return len(header).to_bytes(8, "little") + header + content[end:]


def refuse_to_overwrite(path: Path) -> None:
    """Raise a `WeightsError` if `path` exists."""
    if path.exists():
        raise WeightsError(f"{path} exists and is not overwritten; name another file, or move it")


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read and validate a checkpoint.

    Raises:
        WeightsError: the file is missing, truncated, no checkpoint, of a newer format or another
            convention; or an array is missing, unknown, of a wrong shape or type, not finite,
            or changed since it was written.
    """
    path = Path(path)
    arrays, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path} is a safetensors file but not a loptbench checkpoint: its metadata has no "
            f"'format': {FORMAT!r}; write one with loptbench.storage.weights.save_checkpoint"
        )
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise WeightsError(
            f"{path} has weights format version {version!r}; this loptbench reads "
            f"{FORMAT_VERSION}: install the loptbench that wrote it, or a newer one"
        )
    try:
        require_convention(metadata["kind"], metadata.get("convention", ""))
        constants = require_table(parse_json(metadata["constants"]), "constants")
        meta_training = require_table(parse_json(metadata["meta_training"]), "meta_training")
        for name, value in constants.items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(f"the constant {name!r} should be a number, not {shorten(value)}")
        checkpoint = Checkpoint(
            OptimizerSpec(metadata["kind"], arrays, constants), metadata["task"], meta_training
        )
        recorded = metadata["sha256"]
    except KeyError as error:
        raise WeightsError(f"{path} has no {error.args[0]!r} in its metadata") from error
    except ValueError as error:
        raise WeightsError(f"the metadata of {path} cannot be read: {error}") from error
    except LoptbenchError as error:
        raise WeightsError(f"{path}: {error}") from error
    if checkpoint.sha256 != recorded:
        raise WeightsError(
            f"the arrays of {path} are not those that were saved: their hash is "
            f"{checkpoint.sha256[:12]}, the recorded one {recorded[:12]}; get the file anew"
        )
    return checkpoint


def require_convention(kind: str, convention: str) -> None:
    """Refuse weights that were made for another convention than ours.

    Raises:
        LoptbenchError: the conventions differ, or there is no such kind.
    """
    ours = get_kind(kind).convention
    if convention != ours:
        raise LoptbenchError(
            f"made for the {kind} convention {convention!r}, but loptbench computes {ours!r}; the "
            "same weights are another optimizer there and must not be mixed"
        )


def read_safetensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays and the metadata of a safetensors file.

    Raises:
        WeightsError: the file is missing, truncated, or not in safetensors format.
    """
    if not require_path(path, WeightsError).is_file():
        problem = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise WeightsError(f"{path} {problem}; give the path of a .safetensors file")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WeightsError(f"{path} is too large: it holds more than {LARGEST_FILE} bytes")
        with safe_open(path, framework="numpy") as file:
            names = sorted(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, TypeError, AttributeError, KeyError) as error:
        with path.open("rb") as beginning:
            other = disguise(beginning.read(200))
        if other:
            raise WeightsError(f"{path} cannot be used: {other}") from error
        raise WeightsError(
            f"{path} is not a readable safetensors file; it may be truncated or of another "
            f"format ({error})"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
