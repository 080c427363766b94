"""Meta-train learned optimizers: what `loptbench meta-train` and `loptbench.meta_train` run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loptbench.discovery import get_implementation
from loptbench.errors import LoptbenchError
from loptbench.optimizers import get_architecture
from loptbench.progress import progress
from loptbench.storage.weights import Checkpoint
from loptbench.tasks import get_task
from loptbench.training.loop import meta_train_side_by_side, require_meta_training
from loptbench.training.settings import load_config, load_preset


def meta_train(
    task: str,
    implementation: str,
    *,
    seeds: Sequence[int] = (0,),
    preset: str = "quick",
    architecture: str | None = None,
    config: Path | None = None,
    output: Path | None = None,
    **settings: Any,
) -> dict[Path, Checkpoint]:
    """Meta-train learned optimizers on a task, from random weights.

    After an interruption, the same call continues from the last saved state.

        meta_train("quadratic", "jax", seeds=[0, 1], n_outer_steps=100)

    Args:
        task: the name of the task.
        implementation: the implementation that computes, such as `jax` or `torch`.
        seeds: the seeds of weights and problems; several are trained as one batch.
        preset: the name of the settings.
        architecture: what is trained, such as `lstm`, or `package.module:Object`; None for the settings' own, `gru` unless they
            name another.
        config: a TOML file with settings, instead of a preset.
        output: the checkpoint to write, for one seed; if None,
            `TASK-PRESET-IMPLEMENTATION-SEED.safetensors` in the current folder, with the
            architecture after the preset where it is not `gru`.
        settings: settings to replace, such as `n_units`, `n_outer_steps`, `dtype` or `device`.

    Returns:
        The checkpoints by the files they were written to.

    Raises:
        LoptbenchError: a name or a setting is wrong, or a file exists or cannot be written.
    """
    get_task(task)
    computing = get_implementation(implementation)
    seeds = tuple(dict.fromkeys(seeds))
    if output is not None and len(seeds) > 1:
        raise LoptbenchError("--output names one file, but there are several seeds")
    settings["architecture"] = architecture and get_architecture(architecture).name
    settings = {name: value for name, value in settings.items() if value is not None}
    settings["seed"] = seeds[0]
    if config is None:
        chosen = load_preset(preset, task, settings)
    else:
        chosen = load_config(config, task, settings)
    require_meta_training(computing, chosen, side_by_side=len(seeds) > 1)
    outputs = {
        seed: output or Path(f"{named.checkpoint_name(computing.name)}.safetensors")
        for seed in seeds
        if (named := chosen.model_copy(update={"seed": seed}))
    }
    with progress("meta-training", chosen.n_outer_steps) as report:
        checkpoints = meta_train_side_by_side(computing, chosen, outputs, report)
    return dict(zip(outputs.values(), checkpoints, strict=True))
