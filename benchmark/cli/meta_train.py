"""`loptbench meta-train`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import DTYPES, engine_options, mnist_option

if TYPE_CHECKING:
    from loptbench.engines.engine import Engine


@click.command("meta-train")
@click.argument("task", shell_complete=complete_task)
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    required=True,
    help="What computes it, such as jax or torch.",
)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=click.IntRange(0),
    help="Seed of weights and problems; given several times, all are trained as one batch. "
    "[default: that of --config, or 0]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="The checkpoint to write. [default: TASK-PRESET-IMPLEMENTATION-SEED.safetensors, with own "
    "for the preset where --config, --units or --outer-steps change it]",
)
@click.option(
    "--preset",
    default=None,
    help="The settings: quick, standard (64 units, found by meta-tune; not for digits), paper (256 "
    "units). [default: quick]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="Settings of your own as TOML, instead of a preset.",
)
@click.option(
    "--architecture",
    default=None,
    help="What is trained: gru, lstm, log_lstm, or package.module:Object. [default: gru]",
)
@click.option("--units", type=click.IntRange(1), default=None, help="Units of the optimizer.")
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Outer steps.")
@click.option(
    "--bptt-segment",
    type=click.IntRange(1),
    default=None,
    help="Keep what backpropagation needs of this many inner steps; compute the others twice.",
)
@engine_options(jobs=1)
@mnist_option
@click.option(
    "--device",
    default=None,
    help="Where to compute: cpu or cuda. [default: that of --config, or cpu]",
)
@click.option("--dtype", type=click.Choice(DTYPES), default=None, help="What to compute in.")
def meta_train(
    task: str,
    implementation: str,
    seeds: tuple[int, ...],
    output: Path | None,
    preset: str | None,
    config: Path | None,
    architecture: str | None,
    units: int | None,
    outer_steps: int | None,
    bptt_segment: int | None,
    device: str | None,
    dtype: str | None,
    engine: "Engine",
) -> None:
    """Meta-train a learned optimizer on TASK, from nothing.

    Interrupted, it goes on from where it was when called again with the same arguments. When it
    is done already, it says what it made.
    """
    from loptbench.training.run import meta_train as meta_train_seeds

    if preset is not None and config is not None:
        raise click.UsageError("--config is instead of --preset; give one of them")
    checkpoints = meta_train_seeds(
        task,
        implementation,
        seeds=seeds or None,
        preset=preset or "quick",
        architecture=architecture,
        config=config,
        output=output,
        n_units=units,
        n_outer_steps=outer_steps,
        bptt_segment=bptt_segment,
        device=device,
        dtype=dtype,
        engine=engine,
    )
    for path, checkpoint in checkpoints.items():
        training = checkpoint.meta_training
        click.echo(
            f"best validated meta-objective {training['best_validation']:.4f}, at outer step "
            f"{training['best_outer_step']}; {training['skipped_outer_steps']} outer steps "
            f"skipped, {training['setbacks']} rollbacks"
        )
        click.echo(path)
