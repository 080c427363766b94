"""`loptbench meta-tune`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import DTYPES, engine_options, mnist_option, range_option

if TYPE_CHECKING:
    from loptbench.engines.engine import Engine
    from loptbench.tuning.ranges import Range


@click.command("meta-tune")
@click.argument("task", shell_complete=complete_task)
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    default="jax",
    show_default=True,
    help="What computes it, such as jax or torch.",
)
@click.option(
    "--architecture",
    "architectures",
    multiple=True,
    default=("gru",),
    show_default=True,
    help="What is meta-trained: gru, lstm, log_lstm, or package.module:Object. Repeatable: of "
    "several, each draw has one.",
)
@click.option(
    "--units",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Units of the optimizer.",
)
@click.option(
    "--draws",
    "n_draws",
    type=click.IntRange(1),
    default=54,
    show_default=True,
    help="Draws of the first round.",
)
@click.option(
    "--rounds",
    "n_rounds",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Rounds. Each trains a third of the draws, three times as long.",
)
@click.option(
    "--first-steps",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Outer steps of the first round.",
)
@click.option(
    "--seeds",
    "n_seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Seeds of each draw in the last round.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="The JSON file of the search. [default: TASK-meta-tuned.json]",
)
@range_option(
    "Draw this setting from another range, uniformly in its logarithm, such as decay=0.1:0.5; "
    "1-NAME=LOW:HIGH draws 1 − NAME, as for beta1, beta2 and averaging. Repeatable.",
    if_empty="give two ends",
    example="decay=0.1:0.5",
)
@engine_options()
@mnist_option
@click.option("--dtype", type=click.Choice(DTYPES), default=None, help="What to compute in.")
def meta_tune(
    task: str,
    implementation: str,
    architectures: tuple[str, ...],
    units: int,
    n_draws: int,
    n_rounds: int,
    first_steps: int,
    n_seeds: int,
    seed: int,
    output: Path | None,
    ranges: "dict[str, Range]",
    dtype: str | None,
    engine: "Engine",
) -> None:
    """Search the outer settings of TASK: random draws with successive halving.

    Draws are compared on the problems of the split `validate`. The settings that win are written
    as a TOML file beside the record, for `loptbench meta-train TASK --config FILE`.

    Interrupted, it goes on from where it was when called again with the same arguments.
    """
    from loptbench.training.run import meta_tune as search
    from loptbench.training.space import Uniform

    path, found = search(
        task,
        implementation,
        architectures=architectures,
        n_units=units,
        dtype=dtype,
        n_draws=n_draws,
        n_rounds=n_rounds,
        first_steps=first_steps,
        n_seeds=n_seeds,
        seed=seed,
        output=output,
        engine=engine,
        ranges={
            name: Uniform(low=each.low, high=each.high, of_complement=each.of_complement)
            for name, each in ranges.items()
        },
    )
    last = found.draws[found.best].rounds[-1]
    click.echo(
        f"draw {found.best} of {len(found.draws)} validated best: {last.score:.4f}, the mean over "
        f"{len(last.validations)} seeds after {last.outer_steps} outer steps"
    )
    click.echo(path)
