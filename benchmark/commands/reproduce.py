"""`loptbench reproduce`."""

from pathlib import Path
from typing import Any

import click

from loptbench.commands.options import device_option, mnist_option
from loptbench.commands.run import QUICK, measure
from loptbench.errors import LoptbenchError
from loptbench.meta_config import PRESETS, MetaTraining, load_preset
from loptbench.meta_training import meta_train, require_meta_training
from loptbench.progress import progress
from loptbench.registry import discover, get_implementation
from loptbench.runner import plan
from loptbench.tasks import TASKS, get_task
from loptbench.tuned import Tuned, load_tuned, plan_searches, tune
from loptbench.weights import Checkpoint, load_checkpoint
from loptbench.zoo import names, representatives, shipped


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
def reproduce(
    from_scratch: bool,
    folder: Path,
    implementation: str,
    preset: str,
    task: tuple[str, ...],
    seed: int,
    outer_steps: int | None,
    draws: int | None,
    device: str,
) -> None:
    """From nothing to the report: meta-train, tune, measure, judge.

    One seed of every task, meta-trained by one implementation. All that are installed are held to
    each other, as `run` does it.
    """
    tasks = [get_task(name).name for name in dict.fromkeys(task or TASKS)]
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
        for config in configs:
            require_meta_training(one, config)
        checkpoints = dict(_meta_trained(one, config, folder) for config in configs)
        tuned = _tuned(one, tasks, draws, folder / "tuned.json")
    else:
        checkpoints = {name: shipped(name) for name in names()}
        tuned = load_tuned()
    quick = representatives(name for name in tasks if name in QUICK)
    checked = [n for n, one in checkpoints.items() if one.task in QUICK] if from_scratch else quick
    entries = discover()
    trials = plan(entries, checkpoints, tuned, 0, tasks, checked)
    measure(trials, folder / "results", entries, folder / "report.html")


def _meta_trained(
    implementation: Any, config: MetaTraining, folder: Path
) -> tuple[str, Checkpoint]:
    """The checkpoint of these settings in the folder, meta-trained if it is not there yet."""
    name = f"{config.task}-{config.preset}-{implementation.name}-{config.seed}"
    path = folder / f"{name}.safetensors"
    if not path.exists():
        with progress(f"meta-training on {config.task}", config.n_outer_steps) as report:
            return name, meta_train(implementation, config, path, report)
    found = load_checkpoint(path)
    if found.meta_training.get("configuration") != config.model_dump():
        raise LoptbenchError(
            f"{path} was meta-trained with other settings; name another --folder, or move it"
        )
    return name, found


def _tuned(implementation: Any, tasks: list[str], draws: int | None, path: Path) -> Tuned:
    """The tuned baselines in the folder, tuned if they are not there yet."""
    if not path.exists():
        changes: dict[str, Any] = {} if draws is None else {"n_draws": draws}
        searches = plan_searches(implementation, [get_task(name) for name in tasks], **changes)
        with progress("tuning", sum(settings.n_total for *_, settings in searches)) as report:
            tune(implementation, searches, path, report)
    return load_tuned(path)
