"""Meta-train learned optimizers: what `loptbench meta-train` and `loptbench.meta_train` run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loptbench.discovery import get_implementation, source_of
from loptbench.engines.choice import engine_or_processes
from loptbench.engines.engine import Engine
from loptbench.errors import LoptbenchError, WeightsError
from loptbench.optimizers import DEFAULT_ARCHITECTURE, get_architecture
from loptbench.progress import progress, say_done
from loptbench.results.schema.base import first_problem
from loptbench.rollout.offered import require_task
from loptbench.storage.files import require_writable, write_atomically
from loptbench.storage.weights import Checkpoint, load_checkpoint, refuse_to_overwrite
from loptbench.tasks import get_task
from loptbench.training.chain import training
from loptbench.training.loop import require_meta_training
from loptbench.training.made import differences
from loptbench.training.meta_tuning import MetaTuned, MetaTuning
from loptbench.training.meta_tuning import meta_tune as search_settings
from loptbench.training.settings import (
    MetaTraining,
    load_config,
    load_preset,
)
from loptbench.training.space import Uniform, narrowed

SAME_PRESET = ("seed", "architecture", "dtype", "device", "bptt_segment", "checkpoint_every")
"""What may be replaced in a preset so that its seeds still are replicates; of another architecture,
among themselves."""


def meta_train(
    task: str,
    implementation: str,
    *,
    seeds: Sequence[int] | None = None,
    preset: str = "quick",
    architecture: str | None = None,
    config: Path | None = None,
    output: Path | None = None,
    engine: Engine | None = None,
    **settings: Any,
) -> dict[Path, Checkpoint]:
    """Meta-train learned optimizers on a task, from random weights.

    After an interruption, the same call continues from the last saved state. When all is done, it
    returns what is there.

        meta_train("quadratic", "jax", seeds=[0, 1], n_outer_steps=100)

    Args:
        task: the name of the task, or `package.module:Object`.
        implementation: the implementation that computes, such as `jax` or `torch`.
        seeds: the seeds of weights and problems; several are trained as one batch. If None, that
            of `config`, or 0.
        preset: the name of the settings.
        architecture: what is trained, such as `lstm`, or `package.module:Object`; None for the
            settings' own, `gru` unless they name another.
        config: a TOML file with settings, instead of a preset.
        output: the checkpoint to write, for one seed; if None,
            `TASK-PRESET-IMPLEMENTATION-SEED.safetensors` in the current folder, with the
            architecture after the preset where it is not `gru`, and with `own` for the preset where
            `config` or other `settings` take its place.
        engine: what computes, as `loptbench.engines.choice.make_engine` makes it; this process if
            None.
        settings: settings to replace, such as `n_units`, `n_outer_steps`, `dtype` or `device`.

    Returns:
        The checkpoints by the files they were written to.

    Raises:
        LoptbenchError: a name or a setting is wrong, or a file exists or cannot be written.
    """
    chosen_task = get_task(task)
    task = chosen_task.name
    computing = get_implementation(implementation)
    if "seed" in settings:
        raise LoptbenchError(f"give the seeds as seeds=[{settings['seed']}]")
    settings["architecture"] = architecture and get_architecture(architecture).name
    settings = {name: value for name, value in settings.items() if value is not None}

    def of(**seed: int) -> MetaTraining:
        given = {**settings, **seed}
        if config is not None:
            return load_config(config, task, given)
        chosen = load_preset(preset, task, given)
        kept = {name: value for name, value in given.items() if name in SAME_PRESET}
        is_preset = chosen == load_preset(preset, task, kept)
        return chosen if is_preset else chosen.model_copy(update={"preset": ""})

    configs = [of()] if seeds is None else [of(seed=seed) for seed in dict.fromkeys(seeds)]
    if not configs:
        raise LoptbenchError("no seed is given")
    if output is not None and len(configs) > 1:
        raise LoptbenchError("--output names one file, but there are several seeds")
    chosen = configs[0]
    require_meta_training(computing, chosen, side_by_side=len(configs) > 1)
    require_task(computing, chosen_task)
    outputs = {
        each.seed: output or Path(f"{each.checkpoint_name(computing.name)}.safetensors")
        for each in configs
    }
    done = _done(computing.name, chosen, outputs)
    if done is not None:
        say_done("meta-training", chosen.n_outer_steps)
        return done
    with progress("meta-training", chosen.n_outer_steps) as report:
        source = source_of(implementation)
        with engine_or_processes(engine, jobs=1) as engine:
            [checkpoints] = engine.run([training(computing, chosen, outputs, report, source)])
    return dict(zip(outputs.values(), checkpoints, strict=True))


def _done(
    implementation: str, config: MetaTraining, outputs: Mapping[int, Path]
) -> dict[Path, Checkpoint] | None:
    """The checkpoints of an earlier call with the same arguments; None if one is missing.

    Raises:
        WeightsError: a file is there that is something else.
    """
    if not all(path.exists() for path in outputs.values()):
        return None
    found = {}
    for seed, path in outputs.items():
        try:
            checkpoint = load_checkpoint(path)
        except LoptbenchError:
            refuse_to_overwrite(path)
        wanted = config.model_copy(update={"seed": seed})
        if differing := differences(checkpoint, implementation, wanted):
            raise WeightsError(
                f"{path} exists and is not overwritten: it was made {differing}; name another "
                "--output, or move it"
            )
        found[path] = checkpoint
    return found


def meta_tune(
    task: str,
    implementation: str,
    *,
    architectures: Sequence[str] = (DEFAULT_ARCHITECTURE,),
    n_units: int = 64,
    dtype: str | None = None,
    output: Path | None = None,
    jobs: int = 1,
    engine: Engine | None = None,
    ranges: Mapping[str, Uniform] = {},
    **search: Any,
) -> tuple[Path, MetaTuned]:
    """Search the settings of meta-training on a task, at random with successive halving.

    Sizes, such as the problems of an outer step, are those of the preset `paper`; the settings in
    `loptbench.training.space.SPACE` are searched.

        meta_tune("quadratic", "jax", n_draws=9, n_rounds=2)

    Args:
        task: the name of the task.
        implementation: the implementation that computes, such as `jax` or `torch`.
        architectures: what is meta-trained, such as `gru`, or `package.module:Object`; of several,
            each draw has one.
        n_units: its units.
        dtype: what to compute in; float32 if None.
        output: the JSON file of the record; if None, `TASK-meta-tuned.json` in the current folder.
            The settings that won are written beside it, as TOML.
        jobs: processes that train.
        engine: what trains; so many processes of this machine if None.
        ranges: other ranges of some settings, by name.
        search: settings of the search, `loptbench.training.meta_tuning.MetaTuning`.

    Returns: the TOML file of the settings, and the record.

    Raises:
        LoptbenchError: a name or a number is wrong, a file exists or cannot be written, or every
            draw failed.
    """
    task = get_task(task).name
    names = tuple(dict.fromkeys(get_architecture(each).name for each in architectures))
    if not names:
        raise LoptbenchError("no architecture is given")
    given = {"preset": "", "architecture": names[0], "n_units": n_units, "dtype": dtype}
    base = load_preset("paper", task, {k: v for k, v in given.items() if v is not None})
    try:
        settings = MetaTuning.model_validate(search)
    except ValidationError as error:
        raise LoptbenchError(f"the search of settings: {first_problem(error)}") from error
    space = narrowed(ranges)
    if len(names) > 1:
        space = {**space, "architecture": names}
    output = output or Path(f"{task}-meta-tuned.json")
    path = _settings_beside(output)
    is_done = output.exists()
    with (
        progress("searching", settings.n_trainings) as report,
        engine_or_processes(engine, jobs) as engine,
    ):
        found = search_settings(implementation, base, settings, output, engine, report, space)
        if is_done:
            report(settings.n_trainings, "done already")
    preset = found.preset().encode()
    if not (path.exists() and path.read_bytes() == preset):
        refuse_to_overwrite(path)
        write_atomically(path, preset)
    return path, found


def _settings_beside(output: Path) -> Path:
    """The TOML file of the settings that a search with this record finds.

    Raises:
        LoptbenchError: it would be the record itself, or is there before the search.
    """
    require_writable(output)
    path = output.with_suffix(".toml")
    if path == output:
        raise LoptbenchError(
            f"{output} would be both the record of the search, which is JSON, and the settings "
            f"that it finds; name --output {output.with_suffix('.json')}"
        )
    if not output.exists():
        refuse_to_overwrite(path)
    return path
