"""Reproduce everything: meta-train, tune, measure, judge."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from loptbench.discovery import discover, get_implementation, source_of
from loptbench.engines.choice import JOBS, engine_or_processes
from loptbench.engines.engine import Engine
from loptbench.errors import LoptbenchError
from loptbench.progress import Together, progress
from loptbench.storage.weights import Checkpoint
from loptbench.study.parts import FULL, SMALL_TASKS
from loptbench.study.run import Selection, Study, measure, run
from loptbench.tasks import SHIPPED, get_task
from loptbench.training.chain import training
from loptbench.training.loop import require_meta_training
from loptbench.training.settings import (
    PRESETS,
    MetaTraining,
    load_preset,
    recorded_configuration,
)
from loptbench.tuning.searches import plan_searches, tune
from loptbench.tuning.tuned_file import Search, Tuned, load_tuned
from loptbench.zoo.loading import load


def reproduce(
    folder: Path,
    tasks: Collection[str] = (),
    jobs: int = JOBS,
    engine: Engine | None = None,
) -> Study:
    """Measure and judge what is shipped, into the folder `results` of `folder`."""
    chosen = [get_task(name).name for name in dict.fromkeys(tasks or SHIPPED)]
    make_folder(folder)
    return run(folder / "results", tasks=chosen, jobs=jobs, engine=engine, part=FULL.name)


def reproduce_from_scratch(
    folder: Path,
    tasks: Collection[str] = (),
    *,
    implementation: str = "jax",
    preset: str = PRESETS[0],
    seed: int = 0,
    device: str = "cpu",
    n_outer_steps: int | None = None,
    n_draws: int | None = None,
    jobs: int = JOBS,
    engine: Engine | None = None,
) -> Study:
    """Meta-train one seed of every task, tune the baselines, measure and judge.

    After an interruption, the same call continues from the files in `folder`.

    Args:
        folder: the folder for everything that is made.
        tasks: the names of the tasks; all if empty.
        implementation: the implementation that meta-trains and tunes.
        preset: the settings of meta-training.
        seed: the seed of meta-training.
        device: the device of meta-training.
        n_outer_steps: outer steps; those of the preset if None.
        n_draws: draws of the tuner; those of the shipped searches if None.
        jobs: the number of processes.
        engine: what computes; so many processes of this machine if None.

    Raises:
        LoptbenchError: the folder cannot be made, or holds what was made with other settings.
    """
    chosen = [get_task(name).name for name in dict.fromkeys(tasks or SHIPPED)]
    make_folder(folder)
    computing = get_implementation(implementation)
    changes: dict[str, Any] = {"seed": seed, "device": device}
    if n_outer_steps is not None:
        changes["n_outer_steps"] = n_outer_steps
    configs = [load_preset(preset, name, changes) for name in chosen]
    changed_settings: dict[str, Any] = {} if n_draws is None else {"n_draws": n_draws}
    searches = plan_searches(computing, [get_task(name) for name in chosen], **changed_settings)
    with engine_or_processes(engine, jobs) as engine:
        checkpoints, tuned = _make(
            computing, source_of(implementation), configs, searches, folder, engine
        )
        cross_checked = [
            name for name, checkpoint in checkpoints.items() if checkpoint.task in SMALL_TASKS
        ]
        selection = Selection(discover(), checkpoints, tuned, chosen, cross_checked)
        return measure(folder / "results", selection, engine)


def make_folder(folder: Path) -> None:
    """Make a folder if it does not exist.

    Raises:
        LoptbenchError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoptbenchError(f"cannot make {folder}: {error.strerror}") from error


def _make(
    implementation: Any,
    source: str,
    configs: list[MetaTraining],
    searches: list[Search],
    folder: Path,
    engine: Engine,
) -> tuple[dict[str, Checkpoint], Tuned]:
    """The learned optimizers and the tuned baselines, from the folder where they exist there."""
    for config in configs:
        require_meta_training(implementation, config)
    by_name = {config.checkpoint_name(implementation.name): config for config in configs}
    paths = {name: folder / f"{name}.safetensors" for name in by_name}
    tuned_path = folder / "tuned.json"
    # Files made with other settings are refused before meta-training, which takes hours.
    checkpoints = {
        name: _load_checkpoint(paths[name], config)
        for name, config in by_name.items()
        if paths[name].exists()
    }
    tuned = _load_tuned(tuned_path, implementation, searches) if tuned_path.exists() else None
    missing = {name: config for name, config in by_name.items() if name not in checkpoints}
    if missing:
        with progress("meta-training", sum(c.n_outer_steps for c in missing.values())) as report:
            together = Together(report)
            trainings = [
                training(implementation, c, {c.seed: paths[name]}, together.of(c.task), source)
                for name, c in missing.items()
            ]
            for name, [checkpoint] in zip(missing, engine.run(trainings), strict=True):
                checkpoints[name] = checkpoint
    if tuned is None:
        with progress("tuning", sum(settings.n_total for *_, settings in searches)) as report:
            tuned = tune(
                implementation, searches, tuned_path, report, engine, {source: implementation}
            )
    return {name: checkpoints[name] for name in by_name}, tuned


def _load_checkpoint(path: Path, config: MetaTraining) -> Checkpoint:
    checkpoint = load(path)
    if MetaTraining.model_validate(recorded_configuration(checkpoint.meta_training)) != config:
        raise LoptbenchError(
            f"{path} was meta-trained with other settings; name another --folder, or move it"
        )
    return checkpoint


def _load_tuned(path: Path, implementation: Any, searches: list[Search]) -> Tuned:
    tuned = load_tuned(path)
    if not tuned.matches(implementation, searches):
        raise LoptbenchError(
            f"{path} is of other searches: other tasks, settings or implementation; name another "
            "--folder, or move it"
        )
    return tuned
