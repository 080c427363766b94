"""`loptbench meta-train`."""

from pathlib import Path
from typing import Any

import click

from loptbench.commands.options import mnist_option
from loptbench.errors import LoptbenchError
from loptbench.meta_config import load_config
from loptbench.meta_training import meta_train as meta_train_
from loptbench.progress import progress
from loptbench.protocol import Level, offers
from loptbench.registry import DTYPES, get_implementation
from loptbench.tasks import get_task


@click.command("meta-train")
@click.argument("task")
@click.option("--implementation", required=True, help="What computes it, such as jax or torch.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of weights and problems.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="The checkpoint to write. [default: TASK-IMPLEMENTATION-SEED.safetensors]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="Settings as TOML, instead of the task's preset.",
)
@click.option("--units", type=click.IntRange(1), default=None, help="Units of the GRU.")
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Outer steps.")
@mnist_option
@click.option("--dtype", type=click.Choice(DTYPES), default=None, help="What to compute in.")
def meta_train(
    task: str,
    implementation: str,
    seed: int,
    output: Path | None,
    config: Path | None,
    units: int | None,
    outer_steps: int | None,
    dtype: str | None,
) -> None:
    """Meta-train a learned optimizer on TASK, from nothing.

    Interrupted, it goes on from its last checkpoint when called again with the same arguments.
    """
    get_task(task)
    one = get_implementation(implementation)
    if not offers(one, Level.META_TRAINING):
        raise LoptbenchError(f"{implementation} does not offer level 5, meta-training")
    options = {"n_units": units, "n_outer_steps": outer_steps, "dtype": dtype}
    overrides: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    settings = load_config(config, task, {"seed": seed, **overrides})
    for what, chosen, declared in (
        ("task", task, one.tasks),
        ("dtype", settings.dtype, one.dtypes),
        ("optimizer", "gru", one.optimizers),
    ):
        if chosen not in declared:
            raise LoptbenchError(f"{implementation} does not compute the {what} {chosen!r}")
    output = output or Path(f"{task}-{one.name}-{seed}.safetensors")
    with progress("meta-training", settings.n_outer_steps) as report:
        checkpoint = meta_train_(one, settings, output, report)
    told = checkpoint.meta_training
    click.echo(
        f"best validated meta-objective {told['best_validation']:.4f}, at outer step "
        f"{told['best_outer_step']}; {told['skipped_outer_steps']} outer steps skipped"
    )
    click.echo(output)
