"""The settings of meta-training, as data."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loptbench.errors import LoptbenchError, UnknownNameError


class MetaTraining(BaseModel):
    """How a learned optimizer is meta-trained; `loptbench.protocol.MetaTrains` has the equations.

    The defaults of Adam, clipping and penalty are the authors' published configuration for the
    quadratic task.

    Attributes:
        preset: the preset that the settings come from, for the record; "" if they are one's own.
        task: the task's name.
        n_units: units of the GRU.
        input_scale: what gradients are multiplied with: typical ones should come to order one.
        output_scale: what the readout is multiplied with.
        n_outer_steps: how many outer steps.
        batch_size: problems in each.
        n_steps: inner steps of each run, all of which the meta-gradient goes through.
        learning_rate: Adam's, in the beginning.
        decay: what it is multiplied with every `decay_steps` outer steps, exponentially.
        decay_steps: see `decay`.
        beta1: Adam's.
        beta2: Adam's.
        epsilon: Adam's.
        clipping: whether `clip` bounds each element of the meta-gradient, or its norm.
        clip: the bound.
        penalty: of the norm of the weights.
        seed: of the initial weights and of the problem stream.
        dtype: what it is computed in.
        device: where it is computed.
        keep_steps: of how many inner steps to keep what backpropagation needs; the others are
            computed twice, which takes less memory. None for all.
        validation_size: how many problems of the split `validate` choose the checkpoint to keep.
        validate_every: how often, in outer steps.
        setback: a validation of more than this times the best so far, or a meta-gradient that is
            not finite many times in a row, sends the run back to where that was, weights and
            optimizer, to go on with the next problems. None for never.
        checkpoint_every: how often progress is saved, in outer steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = ""
    task: str = "quadratic"
    n_units: int = Field(default=64, ge=1)
    input_scale: float = 1.0
    output_scale: float = 1.0
    n_outer_steps: int = Field(default=2500, ge=1)
    batch_size: int = Field(default=64, ge=1)
    n_steps: int = Field(default=201, ge=1)
    learning_rate: float = Field(default=7.84e-4, gt=0)
    decay: float = Field(default=0.555, gt=0, le=1)
    decay_steps: int = Field(default=1000, ge=1)
    beta1: float = Field(default=0.806, ge=0, lt=1)
    beta2: float = Field(default=0.594, ge=0, lt=1)
    epsilon: float = Field(default=4.5e-6, gt=0)
    clipping: Literal["elementwise", "global-norm"] = "elementwise"
    clip: float = Field(default=0.047, gt=0)
    penalty: float = Field(default=1e-6, ge=0)
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    keep_steps: int | None = Field(default=None, ge=1)
    validation_size: int = Field(default=128, ge=1)
    validate_every: int = Field(default=50, ge=1)
    setback: float | None = Field(default=None, gt=1)
    checkpoint_every: int = Field(default=100, ge=1)


PRESETS = ("quick", "paper")
"""`quick`: minutes on two cores. `paper`: 256 units, and the authors' settings where they exist."""


def load_preset(preset: str, task: str, overrides: Mapping[str, object]) -> MetaTraining:
    """The settings of a preset, with some of them replaced.

    Raises:
        LoptbenchError: there is no such preset, or a setting is unknown or out of range.
    """
    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, list(PRESETS))
    source = resources.files("loptbench.training") / "presets" / preset / f"{task}.toml"
    return _settings(str(source), source.read_text(), {"preset": preset, "task": task, **overrides})


def load_config(path: Path, task: str, overrides: Mapping[str, object]) -> MetaTraining:
    """Read one's own settings from a TOML file, with some of them replaced.

    Args:
        path: the file.
        task: the task's name.
        overrides: settings that win over the file's.

    Raises:
        LoptbenchError: the file is missing, not TOML, or a setting is unknown or out of range.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise LoptbenchError(
            f"no meta-training settings at {path} ({error.strerror}); name a TOML file"
        ) from error
    except UnicodeDecodeError as error:
        raise LoptbenchError(f"{path} is not a TOML file of settings: {error}") from error
    return _settings(str(path), text, {"task": task, **overrides})


def _settings(name: str, text: str, overrides: Mapping[str, object]) -> MetaTraining:
    try:
        return MetaTraining.model_validate({**tomllib.loads(text), **overrides})
    except tomllib.TOMLDecodeError as error:
        raise LoptbenchError(f"{name} is not a TOML file of settings: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LoptbenchError(
            f"meta-training setting {where!r}: {first['msg']} (it is {first['input']!r})"
        ) from error
