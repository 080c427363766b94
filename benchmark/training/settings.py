"""Settings of meta-training: the schema, the presets, and TOML files of users."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers import DEFAULT_ARCHITECTURE, OptimizerSpec, fresh
from loptbench.reading import parse_toml, read_file, shorten
from loptbench.tasks import CustomTask, get_task


class MetaTraining(BaseModel):
    """The settings of one meta-training; `loptbench.protocol.MetaTrains` has the equations.

    The defaults of Adam, clipping and penalty are the authors' published configuration for the
    quadratic task.

    >>> MetaTraining(task="quadratic", n_units=32).batch_size
    64

    Attributes:
        preset: name of the preset that the settings come from; "" for a user's own settings.
        task: name of the task.
        architecture: what is trained, a name of `loptbench.optimizers.ARCHITECTURES`.
        n_units: its units.
        input_scale: factor of the gradient; chosen so that typical gradients are of order one.
        output_scale: factor of the readout.
        n_outer_steps: number of outer steps.
        batch_size: problems per outer step.
        late_batch_size: problems per outer step in the last 30 % of `n_outer_steps`, where the
            noise of the meta-gradient is what is left to reduce; None for `batch_size`.
        n_steps: inner steps of a run, at least 2: the first loss depends on no update. The
            meta-gradient goes through all of them.
        learning_rate: initial learning rate of Adam.
        decay: the learning rate is multiplied by this every `decay_steps` outer steps,
            exponentially.
        decay_steps: see `decay`.
        beta1: of Adam.
        beta2: of Adam.
        epsilon: of Adam.
        clipping: whether `clip` bounds each element of the meta-gradient or its norm.
        clip: the bound.
        penalty: factor of the norm of the weights in the meta-objective.
        seed: seed of the initial weights and of the problem stream.
        dtype: dtype of the computation.
        device: device of the computation.
        bptt_segment: length, in inner steps, of the segments that backpropagation through time
            computes again in the backward pass, which takes less memory; None keeps all steps.
        validation_size: problems of the split `validate` that choose the checkpoint to keep.
        validate_every: outer steps between validations.
        rollback_ratio: a validation of more than this times the best so far, or a meta-gradient
            that is not finite many times in a row, sends the run back to its best weights and
            the outer-optimizer state of that time; it goes on with the next problems. None for
            never.
        averaging: decay of an exponential moving average of the weights, which is validated beside
            the weights themselves and kept where it is better; None for no average. While the
            average validates better than all before it, the weights are not sent back.
        plateau: meta-training ends when the best validation has not improved by this fraction
            over the last fifth of the outer steps, and at `n_outer_steps` at the latest. None for
            all outer steps.
        min_outer_steps: outer steps before which a plateau does not end it.
        checkpoint_every: outer steps between saves of the progress, which is also saved every
            minute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str = ""
    task: str = "quadratic"
    architecture: str = DEFAULT_ARCHITECTURE
    n_units: int = Field(default=64, ge=1)
    input_scale: float = 1.0
    output_scale: float = 1.0
    n_outer_steps: int = Field(default=2500, ge=1)
    batch_size: int = Field(default=64, ge=1)
    late_batch_size: int | None = Field(default=None, ge=1)
    n_steps: int = Field(default=201, ge=2)
    learning_rate: float = Field(default=7.84e-4, gt=0)
    decay: float = Field(default=0.555, gt=0, le=1)
    decay_steps: int = Field(default=1000, ge=1)
    beta1: float = Field(default=0.806, ge=0, lt=1)
    beta2: float = Field(default=0.594, ge=0, lt=1)
    epsilon: float = Field(default=4.5e-6, gt=0)
    clipping: Literal["elementwise", "global-norm"] = "elementwise"
    clip: float = Field(default=0.047, gt=0)
    penalty: float = Field(default=1e-6, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**64)
    dtype: Literal["float32", "float64"] = "float32"
    device: str = "cpu"
    bptt_segment: int | None = Field(default=None, ge=1)
    validation_size: int = Field(default=128, ge=1)
    validate_every: int = Field(default=50, ge=1)
    rollback_ratio: float | None = Field(default=None, gt=1)
    averaging: float | None = Field(default=None, gt=0, lt=1)
    plateau: float | None = Field(default=None, gt=0, lt=1)
    min_outer_steps: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=100, ge=1)

    def fresh(self) -> OptimizerSpec:
        """The optimizer before the first outer step."""
        scales = {"input_scale": self.input_scale, "output_scale": self.output_scale}
        return fresh(self.architecture, self.n_units, self.seed, **scales)

    def checkpoint_name(self, implementation: str) -> str:
        """The name of the checkpoint that this meta-training ends with.

        >>> MetaTraining(preset="quick", architecture="lstm").checkpoint_name("jax")
        'quadratic-quick-lstm-jax-0'

        Args:
            implementation: the name of the implementation that meta-trains.
        """
        parts = [self.task, self.preset or "own", self.architecture, implementation]
        if self.architecture == DEFAULT_ARCHITECTURE:
            parts.remove(self.architecture)
        return "-".join([*parts, str(self.seed)])


FORMER_NAMES = {"keep_steps": "bptt_segment", "setback": "rollback_ratio"}
"""Settings that checkpoints of earlier versions, the shipped ones included, record under a former
name, and their names now. Checkpoint files are never rewritten; `recorded_configuration` reads
them."""


def recorded_configuration(meta_training: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a checkpoint's metadata record, under their present names.

    >>> recorded_configuration({"configuration": {"seed": 3, "setback": 1.2}})
    {'seed': 3, 'rollback_ratio': 1.2}

    Args:
        meta_training: a checkpoint's `meta_training`.

    Returns: the arguments of `MetaTraining`; empty if the metadata name no settings.
    """
    configuration = meta_training.get("configuration")
    if not isinstance(configuration, Mapping):
        return {}
    return {FORMER_NAMES.get(str(n), str(n)): value for n, value in configuration.items()}


PRESETS = ("quick", "standard", "paper")
"""`quick` takes minutes on two cores. `standard` has 64 units, settings that `loptbench meta-tune`
found, and ends at a plateau. `paper` has 256 units and, where they exist, the authors' settings."""

LATE = 0.7
"""The fraction of `n_outer_steps` after which `late_batch_size` takes the place of `batch_size`."""


def load_preset(preset: str, task: str, overrides: Mapping[str, object]) -> MetaTraining:
    """The settings of a preset, with some of them replaced.

    >>> load_preset("quick", "quadratic", {"seed": 3}).seed
    3

    Raises:
        LoptbenchError: there is no such preset, or a setting is unknown or out of range.
    """
    if preset not in PRESETS:
        raise UnknownNameError("preset", preset, list(PRESETS))
    known = get_task(task)
    settings: dict[str, object] = {"preset": preset, "task": known.name}
    file = known.name
    if isinstance(known, CustomTask):
        file = "custom"
        settings |= {"n_steps": known.n_steps, "input_scale": known.checks.scales[0]}
        settings |= known.training
    folder = resources.files("loptbench.training") / "presets"
    source = folder / preset / f"{file}.toml"
    if not source.is_file():
        others = [name for name in PRESETS if (folder / name / f"{file}.toml").is_file()]
        raise LoptbenchError(
            f"there is no preset {preset!r} for {known.name}, only {' and '.join(others)}"
        )
    return _settings(str(source), source.read_text(), {**settings, **overrides})


def load_config(path: Path, task: str, overrides: Mapping[str, object]) -> MetaTraining:
    """Settings from a TOML file, with some of them replaced.

    Args:
        path: the TOML file.
        task: name of the task.
        overrides: settings that take precedence over the file's.

    Raises:
        LoptbenchError: the file is missing, not TOML, or a setting is unknown or out of range.
    """
    try:
        text = read_file(path).decode()
    except LoptbenchError as error:
        raise LoptbenchError(
            f"no meta-training settings at {path} ({error}); name a TOML file"
        ) from error
    except UnicodeDecodeError as error:
        raise LoptbenchError(f"{path} is not a TOML file of settings: {error}") from error
    settings = _settings(str(path), text, overrides)
    if "task" in settings.model_fields_set and settings.task != task:
        raise LoptbenchError(f"{path} has settings for {settings.task}, not for {task}")
    if settings.preset in PRESETS:
        raise LoptbenchError(
            f"{path} calls its settings {settings.preset!r}, as shipped ones are called; choose "
            "another name"
        )
    return settings.model_copy(update={"task": task})


def _settings(name: str, text: str, overrides: Mapping[str, object]) -> MetaTraining:
    try:
        return MetaTraining.model_validate({**parse_toml(text), **overrides})
    except ValidationError as error:
        problem = error.errors()[0]
        setting = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = list(MetaTraining.model_fields)
            raise UnknownNameError("meta-training setting", setting, known) from error
        raise LoptbenchError(
            f"meta-training setting {setting!r}: {problem['msg']} (it is "
            f"{shorten(problem['input'])})"
        ) from error
    except ValueError as error:  # of TOML, or of a number with thousands of digits
        raise LoptbenchError(f"{name} is not a TOML file of settings: {error}") from error
