"""`loptbench reproduce`."""

from pathlib import Path

import click
from click.core import ParameterSource

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import device_option, engine_options, mnist_option
from loptbench.cli.run import summarize
from loptbench.engines.engine import Engine

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
    "--implementation",
    shell_complete=complete_implementation,
    default="jax",
    show_default=True,
    help="What meta-trains and tunes.",
)
@click.option("--preset", default="quick", show_default=True, help="Settings of meta-training.")
@click.option(
    "--task",
    shell_complete=complete_task,
    multiple=True,
    help="Only this task. Repeatable. [default: all]",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of meta-training."
)
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@click.option("--draws", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@mnist_option
@device_option
@engine_options()
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
    engine: Engine,
) -> None:
    """From nothing to the report: meta-train, tune, measure, judge.

    One implementation meta-trains one seed on every task. All installed implementations are
    compared with the reference, as `loptbench run` does.
    """
    from loptbench.study.reproduce import reproduce as reproduce_shipped
    from loptbench.study.reproduce import reproduce_from_scratch

    if from_scratch:
        study = reproduce_from_scratch(
            folder,
            task,
            implementation=implementation,
            preset=preset,
            seed=seed,
            device=device,
            n_outer_steps=outer_steps,
            n_draws=draws,
            engine=engine,
        )
    else:
        _refuse_unused_options(context)
        study = reproduce_shipped(folder, task, engine=engine)
    summarize(study, folder / "report.html")


def _refuse_unused_options(context: click.Context) -> None:
    for name in ONLY_FROM_SCRATCH:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(
                f"--{name.replace('_', '-')} goes with --from-scratch only; without it, what is "
                "shipped is measured"
            )
