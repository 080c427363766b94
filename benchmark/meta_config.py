"""The settings of meta-training, as data."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loptbench.errors import LoptbenchError


class MetaTraining(BaseModel):
    """How a learned optimizer is meta-trained; `loptbench.protocol.MetaTrains` has the equations.

    The defaults of Adam, clipping and penalty are the authors' published configuration for the
    quadratic task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
    clip: float = Field(default=0.047, gt=0)
    penalty: float = Field(default=1e-6, ge=0)
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float32", "float64"] = "float32"
    validation_size: int = Field(default=128, ge=1)
    validate_every: int = Field(default=50, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)


def load_config(path: Path | None, task: str, overrides: dict[str, object]) -> MetaTraining:
    """Read the settings of a task from a TOML file, with some of them replaced.

    Args:
        path: the file; None for the task's preset.
        task: the task's name.
        overrides: settings that win over the file's.

    Raises:
        LoptbenchError: the file is missing, not TOML, or a setting is unknown or out of range.
    """
    source = resources.files("loptbench") / "presets" / f"{task}.toml" if path is None else path
    try:
        settings = tomllib.loads(source.read_text())
    except OSError as error:
        raise LoptbenchError(
            f"no meta-training settings at {source} ({error.strerror}); give --config FILE"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LoptbenchError(f"{source} is not a TOML file of settings: {error}") from error
    try:
        return MetaTraining.model_validate({**settings, "task": task, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LoptbenchError(
            f"meta-training setting {where!r}: {first['msg']} (it is {first['input']!r})"
        ) from error
