"""`loptbench meta-train`."""

from pathlib import Path
from typing import Any

import click

from loptbench.cli.options import device_option, mnist_option
from loptbench.discovery import DTYPES, get_implementation
from loptbench.progress import progress
from loptbench.tasks import get_task
from loptbench.training.loop import meta_train_side_by_side, require_meta_training
from loptbench.training.settings import PRESETS, load_config, load_preset


@click.command("meta-train")
@click.argument("task")
@click.option("--implementation", required=True, help="What computes it, such as jax or torch.")
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    default=(0,),
    show_default="0",
    type=click.IntRange(0),
    help="Seed of weights and problems; given several times, all are trained as one batch.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="The checkpoint to write. [default: TASK-PRESET-IMPLEMENTATION-SEED.safetensors]",
)
@click.option(
    "--preset",
    default="quick",
    show_default=True,
    help=f"The settings: {' or '.join(PRESETS)} (256 units, as the paper's).",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="Settings of your own as TOML, instead of a preset.",
)
@click.option("--units", type=click.IntRange(1), default=None, help="Units of the GRU.")
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Outer steps.")
@click.option(
    "--bptt-segment",
    type=click.IntRange(1),
    default=None,
    help="Keep what backpropagation needs of this many inner steps; compute the others twice.",
)
@mnist_option
@device_option
@click.option("--dtype", type=click.Choice(DTYPES), default=None, help="What to compute in.")
def meta_train(
    task: str,
    implementation: str,
    seeds: tuple[int, ...],
    output: Path | None,
    preset: str,
    config: Path | None,
    units: int | None,
    outer_steps: int | None,
    bptt_segment: int | None,
    device: str,
    dtype: str | None,
) -> None:
    """Meta-train a learned optimizer on TASK, from nothing.

    Interrupted, it goes on from its last checkpoint when called again with the same arguments.
    """
    get_task(task)
    one = get_implementation(implementation)
    options = {
        "n_units": units,
        "n_outer_steps": outer_steps,
        "bptt_segment": bptt_segment,
        "dtype": dtype,
    }
    overrides: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    overrides |= {"seed": seeds[0], "device": device}
    seeds = tuple(dict.fromkeys(seeds))
    if output is not None and len(seeds) > 1:
        raise click.UsageError("--output names one file, but there are several seeds")
    if config is None:
        settings = load_preset(preset, task, overrides)
    else:
        settings = load_config(config, task, overrides)
    require_meta_training(one, settings, side_by_side=len(seeds) > 1)
    stem = f"{task}-{settings.preset or 'own'}-{one.name}"
    outputs = {seed: output or Path(f"{stem}-{seed}.safetensors") for seed in seeds}
    with progress("meta-training", settings.n_outer_steps) as report:
        checkpoints = meta_train_side_by_side(one, settings, outputs, report)
    for path, checkpoint in zip(outputs.values(), checkpoints, strict=True):
        told = checkpoint.meta_training
        click.echo(
            f"best validated meta-objective {told['best_validation']:.4f}, at outer step "
            f"{told['best_outer_step']}; {told['skipped_outer_steps']} outer steps skipped, "
            f"{told['setbacks']} rollbacks"
        )
        click.echo(path)
