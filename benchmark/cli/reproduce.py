"""`loptbench reproduce`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from loptbench.cli.options import device_option, jobs_option, mnist_option
from loptbench.cli.run import QUICK, measure
from loptbench.discovery import discover, get_implementation
from loptbench.errors import LoptbenchError
from loptbench.progress import progress
from loptbench.storage.weights import Checkpoint, load_checkpoint
from loptbench.study.plan import plan
from loptbench.tasks import TASKS, get_task
from loptbench.training.loop import meta_train, require_meta_training
from loptbench.training.settings import (
    PRESETS,
    MetaTraining,
    load_preset,
    recorded_configuration,
)
from loptbench.tuning.tuned_file import Search, Tuned, load_tuned, plan_searches, tune
from loptbench.zoo.catalogue import names, representatives, shipped

ONLY_FROM_SCRATCH = ("implementation", "preset", "seed", "outer_steps", "draws", "device")


@click.command()
@click.option(
    "--from-scratch",
    is_flag=True,
    help="Meta-train and tune anew, instead of taking what is shipped.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("loptbench-reproduction"),
    show_default=True,
    help="Where everything goes; called again, it goes on from what is there.",
)
@click.option(
    "--implementation", default="jax", show_default=True, help="What meta-trains and tunes."
)
@click.option("--preset", default=PRESETS[0], show_default=True, help="Settings of meta-training.")
@click.option("--task", multiple=True, help="Only this task. Repeatable. [default: all]")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of meta-training."
)
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@click.option("--draws", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@mnist_option
@device_option
@jobs_option
@click.pass_context
def reproduce(
    context: click.Context,
    from_scratch: bool,
    folder: Path,
    implementation: str,
    preset: str,
    task: tuple[str, ...],
    seed: int,
    outer_steps: int | None,
    draws: int | None,
    device: str,
    jobs: int,
) -> None:
    """From nothing to the report: meta-train, tune, measure, judge.

    One seed of every task, meta-trained by one implementation. All that are installed are held to
    each other, as `run` does it.
    """
    tasks = [get_task(name).name for name in dict.fromkeys(task or TASKS)]
    if not from_scratch:
        _refuse_what_is_not_used(context)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoptbenchError(f"cannot make {folder}: {error.strerror}") from error
    if from_scratch:
        one = get_implementation(implementation)
        changes: dict[str, Any] = {"seed": seed, "device": device}
        if outer_steps is not None:
            changes["n_outer_steps"] = outer_steps
        configs = [load_preset(preset, name, changes) for name in tasks]
        fewer: dict[str, Any] = {} if draws is None else {"n_draws": draws}
        searches = plan_searches(one, [get_task(name) for name in tasks], **fewer)
        checkpoints, tuned = _from_scratch(one, configs, searches, folder)
    else:
        checkpoints = {name: shipped(name) for name in names()}
        tuned = load_tuned()
    quick = representatives(name for name in tasks if name in QUICK)
    checked = [n for n, one in checkpoints.items() if one.task in QUICK] if from_scratch else quick
    entries = discover()
    trials = plan(entries, checkpoints, tuned, 0, tasks, checked)
    measure(trials, folder / "results", entries, folder / "report.html", jobs)


def _refuse_what_is_not_used(context: click.Context) -> None:
    for name in ONLY_FROM_SCRATCH:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(
                f"--{name.replace('_', '-')} goes with --from-scratch only; without it, what is "
                "shipped is measured"
            )


def _from_scratch(
    implementation: Any, configs: list[MetaTraining], searches: list[Search], folder: Path
) -> tuple[dict[str, Checkpoint], Tuned]:
    """The learned optimizers and the baselines, made anew but for those in the folder already."""
    for config in configs:
        require_meta_training(implementation, config)
    named = {f"{one.task}-{one.preset}-{implementation.name}-{one.seed}": one for one in configs}
    paths = {name: folder / f"{name}.safetensors" for name in named}
    path_of_tuned = folder / "tuned.json"
    # What was made with other settings is refused now, not after an hour of meta-training.
    found = {
        name: _meta_trained_before(paths[name], config)
        for name, config in named.items()
        if paths[name].exists()
    }
    tuned = None
    if path_of_tuned.exists():
        tuned = _tuned_before(path_of_tuned, implementation, searches)
    for name, config in named.items():
        if name not in found:
            with progress(f"meta-training on {config.task}", config.n_outer_steps) as report:
                found[name] = meta_train(implementation, config, paths[name], report)
    if tuned is None:
        with progress("tuning", sum(settings.n_total for *_, settings in searches)) as report:
            tuned = tune(implementation, searches, path_of_tuned, report)
    return {name: found[name] for name in named}, tuned


def _meta_trained_before(path: Path, config: MetaTraining) -> Checkpoint:
    found = load_checkpoint(path)
    if recorded_configuration(found.meta_training) != config.model_dump():
        raise LoptbenchError(
            f"{path} was meta-trained with other settings; name another --folder, or move it"
        )
    return found


def _tuned_before(path: Path, implementation: Any, searches: list[Search]) -> Tuned:
    found = load_tuned(path)
    if not found.matches(implementation, searches):
        raise LoptbenchError(
            f"{path} is of other searches: other tasks, settings or implementation; name another "
            "--folder, or move it"
        )
    return found
