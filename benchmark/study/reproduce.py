"""Reproduce everything: meta-train, tune, measure, judge."""

import contextlib
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from loptbench.discovery import discover, get_implementation, source_of
from loptbench.engines.choice import JOBS, engine_or_processes
from loptbench.engines.engine import Chain, Engine
from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES, get_architecture
from loptbench.progress import Together, progress
from loptbench.storage.weights import Checkpoint
from loptbench.study.parts import FULL, SMALL_TASKS
from loptbench.study.run import Selection, Study, measure, run, select_implementations
from loptbench.tasks import SHIPPED, get_task
from loptbench.training.chain import training
from loptbench.training.loop import NotFiniteError, require_meta_training
from loptbench.training.made import differences
from loptbench.training.settings import (
    PRESETS,
    MetaTraining,
    load_preset,
    recorded_configuration,
)
from loptbench.tuning.searches import plan_searches, searching
from loptbench.tuning.tuned_file import Search, Tuned, load_tuned
from loptbench.zoo.catalogue import shipped, zoo
from loptbench.zoo.loading import load


class Training(NamedTuple):
    """A meta-training.

    Attributes:
        by: the name of the implementation that meta-trains, or `package.module:Object`.
        config: the settings.
    """

    by: str
    config: MetaTraining

    @property
    def work(self) -> int:
        """Outer steps · inner steps · components · units², to which the time is about proportional.

        >>> quick, paper = plan_trainings(["quadratic"], presets=["quick", "paper"])
        >>> paper.work // quick.work
        32
        """
        config = self.config
        components = config.batch_size * get_task(config.task).n_parameters
        return config.n_outer_steps * config.n_steps * components * config.n_units**2


def reproduce(
    folder: Path,
    tasks: Collection[str] = (),
    jobs: int = JOBS,
    engine: Engine | None = None,
    confirm: bool = False,
) -> Study:
    """Measure and judge what is shipped, into the folder `results` of `folder`."""
    make_folder(folder)
    return run(
        folder / "results",
        tasks=_names(tasks),
        jobs=jobs,
        engine=engine,
        part=FULL.name,
        confirm=confirm,
    )


def plan_trainings(
    tasks: Collection[str] = (),
    *,
    implementations: Collection[str] = ("jax",),
    presets: Collection[str] = PRESETS[:1],
    architectures: Collection[str] = (),
    seeds: Collection[int] = (0,),
    **settings: Any,
) -> list[Training]:
    """Meta-trainings of every seed of every architecture, with every preset, on every task.

    >>> len(plan_trainings(["quadratic", "digits"], presets=["quick", "paper"], seeds=range(5)))
    20

    Args:
        tasks: the names of the tasks; all if empty.
        implementations: the implementations that meta-train, each of them everything.
        presets: the names of the settings.
        architectures: what is trained, such as `lstm`, or `package.module:Object`; that of the
            settings if empty.
        seeds: the seeds of weights and problems.
        settings: settings to replace, such as `n_outer_steps` or `device`.

    Raises:
        LoptbenchError: a name is unknown, or a setting is out of range.
    """
    named = [{"architecture": get_architecture(name).name} for name in dict.fromkeys(architectures)]
    return [
        Training(by, load_preset(preset, task, {**architecture, "seed": seed, **settings}))
        for task in _names(tasks)
        for preset in dict.fromkeys(presets)
        for architecture in named or [{}]
        for by in dict.fromkeys(implementations)
        for seed in dict.fromkeys(seeds)
    ]


def trainings_of_the_zoo(tasks: Collection[str] = (), **settings: Any) -> list[Training]:
    """The meta-trainings that made the zoo, each with the settings that its file records.

    >>> trainings_of_the_zoo(["quadratic"])[0].config.checkpoint_name("jax")
    'quadratic-quick-jax-0'

    Args:
        tasks: the names of the tasks; all if empty.
        settings: settings to replace, such as `device`.
    """
    chosen = _names(tasks)
    return [
        Training(
            member.implementation,
            MetaTraining.model_validate(
                recorded_configuration(shipped(member.name).meta_training) | settings
            ),
        )
        for member in zoo()
        if member.task in chosen
    ]


def reproduce_from_scratch(
    folder: Path,
    trainings: Sequence[Training],
    *,
    kinds: Collection[str] = tuple(BASELINES),
    n_draws: int | None = None,
    jobs: int = JOBS,
    engine: Engine | None = None,
    confirm: bool = False,
) -> Study:
    """Meta-train, tune the baselines on the same tasks, measure all of it and judge over seeds.

    Meta-trainings and searches run side by side. After an interruption, the same call continues
    from the files in `folder`; one with more seeds makes those that are missing.

        reproduce_from_scratch(Path("reproduction"), plan_trainings(seeds=range(5)))

    Args:
        folder: the folder for everything that is made.
        trainings: the meta-trainings, at least one. What computes the first one also tunes.
        kinds: the baselines that are tuned.
        n_draws: draws of the tuner; those of the shipped searches if None.
        jobs: the number of processes.
        engine: what computes; so many processes of this machine if None.
        confirm: whether the mechanisms of optimizers with seeds from 10 on are measured. They are
            kept for the confirmation of the claims; the store records that it has been spent.

    Raises:
        LoptbenchError: the folder cannot be made, or holds what was made with other settings; an
            implementation cannot make a meta-training, or two have the same name.
    """
    if not trainings:
        raise LoptbenchError("there is nothing to meta-train: the zoo has none of these tasks")
    make_folder(folder)
    by = {each.by: get_implementation(each.by) for each in trainings}
    tasks = list(dict.fromkeys(each.config.task for each in trainings))
    changes: dict[str, Any] = {} if n_draws is None else {"n_draws": n_draws}
    searches = plan_searches(by[trainings[0].by], map(get_task, tasks), kinds, **changes)
    entries = discover()
    registered = {entry.name for entry in entries}
    brought = select_implementations([name for name in by if ":" in name])
    entries += [entry for entry in brought if entry.name not in registered]
    with engine_or_processes(engine, jobs) as engine:
        checkpoints, tuned, failed = _make(by, trainings, searches, folder, engine)
        firsts = {checkpoint.task: name for name, checkpoint in reversed(checkpoints.items())}
        cross_checked = [firsts[task] for task in tasks if task in SMALL_TASKS and task in firsts]
        selection = Selection(entries, checkpoints, tuned, tasks, cross_checked, confirm=confirm)
        study = measure(folder / "results", selection, engine)
    return dataclasses.replace(study, not_made=failed) if failed else study


def make_folder(folder: Path) -> None:
    """Make a folder if it does not exist.

    Raises:
        LoptbenchError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoptbenchError(f"cannot make {folder}: {error.strerror}") from error


def _names(tasks: Collection[str]) -> list[str]:
    return [get_task(name).name for name in dict.fromkeys(tasks or SHIPPED)]


def _make(
    by: Mapping[str, Any],
    trainings: Sequence[Training],
    searches: Sequence[Search],
    folder: Path,
    engine: Engine,
) -> tuple[dict[str, Checkpoint], Tuned, list[str]]:
    """The learned optimizers and the tuned baselines, from the folder where they exist there.

    Returns also a sentence for each meta-training that failed.
    """
    planned: dict[str, Training] = {}
    for each in trainings:
        require_meta_training(by[each.by], each.config)
        name = each.config.checkpoint_name(by[each.by].name)
        if planned.setdefault(name, each) != each:
            raise LoptbenchError(f"two meta-trainings would make {name}; rename an implementation")
    paths = {name: folder / f"{name}.safetensors" for name in planned}
    tuner, tuned_path = trainings[0].by, folder / "tuned.json"
    # Files made with other settings are refused before meta-training, which takes hours.
    made = {
        name: _load_checkpoint(paths[name], by[each.by].name, each.config)
        for name, each in planned.items()
        if paths[name].exists()
    }
    tuned = _load_tuned(tuned_path, by[tuner], searches) if tuned_path.exists() else None
    missing = {paths[name]: each for name, each in planned.items() if name not in made}
    failed: list[str] = []
    if missing or tuned is None:
        failed = _train_and_tune(by, missing, tuner, [] if tuned else searches, tuned_path, engine)
    made |= {path.stem: load(path) for path in missing if path.exists()}
    if not made:
        raise LoptbenchError("; ".join(failed))
    ordered = {name: made[name] for name in planned if name in made}
    return ordered, tuned or load_tuned(tuned_path), failed


def _train_and_tune(
    by: Mapping[str, Any],
    trainings: Mapping[Path, Training],
    tuner: str,
    searches: Sequence[Search],
    tuned_path: Path,
    engine: Engine,
) -> list[str]:
    """Make the meta-trainings, each for its file, and beside them the searches for another.

    Returns a sentence for each meta-training whose meta-gradients did not stay finite. The others
    go on.
    """
    failed: list[str] = []

    def noted(name: str, chain: Chain[Any]) -> Chain[None]:
        try:
            yield from chain
        except NotFiniteError as error:
            failed.append(f"{name} was not made: {error}")

    total = sum(each.config.n_outer_steps for each in trainings.values())
    total += sum(settings.n_total for *_, settings in searches)
    with progress("meta-training and tuning", total) as report:
        together = Together(report)
        # The longest first: one that begins last is waited for.
        ordered = sorted(trainings.items(), key=lambda item: item[1].work, reverse=True)
        chains: list[Chain[Any]] = [
            noted(
                path.stem,
                training(
                    by[each.by],
                    each.config,
                    {each.config.seed: path},
                    together.of(path.stem),
                    source_of(each.by),
                ),
            )
            for path, each in ordered
        ]
        with contextlib.ExitStack() as until_written:
            if searches:
                known = {source_of(tuner): by[tuner]}
                tuning = searching(by[tuner], searches, tuned_path, together.of("tuning"), known)
                chains += until_written.enter_context(tuning)
            engine.run(chains)
    return failed


def _load_checkpoint(path: Path, implementation: str, config: MetaTraining) -> Checkpoint:
    checkpoint = load(path)
    if differing := differences(checkpoint, implementation, config):
        raise LoptbenchError(f"{path} was made {differing}; name another --folder, or move it")
    return checkpoint


def _load_tuned(path: Path, implementation: Any, searches: Sequence[Search]) -> Tuned:
    tuned = load_tuned(path)
    if not tuned.matches(implementation, searches):
        raise LoptbenchError(
            f"{path} is of other searches: other tasks, settings or implementation; name another "
            "--folder, or move it"
        )
    return tuned
