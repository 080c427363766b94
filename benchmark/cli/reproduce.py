"""`loptbench reproduce`."""

from pathlib import Path
from typing import Any

import click

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import (
    confirm_option,
    device_option,
    engine_options,
    mnist_option,
    refuse_options,
)
from loptbench.cli.run import summarize
from loptbench.engines.engine import Engine

WHAT_IS_TRAINED = ("implementation", "preset", "architecture", "seed")
ONLY_FROM_SCRATCH = (*WHAT_IS_TRAINED, "whole_zoo", "outer_steps", "draws", "device")


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
    multiple=True,
    default=("jax",),
    help="What meta-trains; the first one also tunes. Repeatable. [default: jax]",
)
@click.option(
    "--preset",
    multiple=True,
    default=("quick",),
    help="Settings of meta-training. Repeatable. [default: quick]",
)
@click.option(
    "--architecture",
    multiple=True,
    help="What is meta-trained: gru, lstm, log_lstm, or package.module:Object. Repeatable. "
    "[default: gru]",
)
@click.option(
    "--task",
    shell_complete=complete_task,
    multiple=True,
    help="Only this task. Repeatable. [default: all]",
)
@click.option(
    "--seed",
    multiple=True,
    default=(0,),
    type=click.IntRange(0),
    help="Seed of meta-training. Repeatable. [default: 0]",
)
@click.option(
    "--whole-zoo",
    is_flag=True,
    help="Meta-train all that is in the zoo, with the settings that it was made with, and tune the "
    "baselines with schedules too.",
)
@click.option("--outer-steps", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@click.option("--draws", type=click.IntRange(1), default=None, help="Fewer, to try it out.")
@confirm_option
@mnist_option
@device_option
@engine_options()
@click.pass_context
def reproduce(
    context: click.Context,
    from_scratch: bool,
    folder: Path,
    implementation: tuple[str, ...],
    preset: tuple[str, ...],
    architecture: tuple[str, ...],
    task: tuple[str, ...],
    seed: tuple[int, ...],
    whole_zoo: bool,
    outer_steps: int | None,
    draws: int | None,
    confirm: bool,
    device: str,
    engine: Engine,
) -> None:
    """Measure what is shipped; with --from-scratch, meta-train and tune it first. Then judge.

    With --from-scratch, every seed of every architecture is meta-trained by every implementation
    with every preset on every task; verdicts are over the seeds. All installed implementations are
    compared with the reference, as `loptbench run` does.
    """
    from loptbench.optimizers import BASELINES, SCHEDULED
    from loptbench.study.reproduce import (
        plan_trainings,
        reproduce_from_scratch,
        trainings_of_the_zoo,
    )
    from loptbench.study.reproduce import reproduce as reproduce_shipped

    settings: dict[str, Any] = {"device": device}
    kinds = [*BASELINES, *SCHEDULED] if whole_zoo else [*BASELINES]
    if outer_steps is not None:
        settings["n_outer_steps"] = outer_steps
    if not from_scratch:
        refuse_options(
            context,
            ONLY_FROM_SCRATCH,
            "goes with --from-scratch only; without it, what is shipped is measured",
        )
        study = reproduce_shipped(folder, task, engine=engine, confirm=confirm)
    else:
        if whole_zoo:
            refuse_options(
                context,
                WHAT_IS_TRAINED,
                "does not go with --whole-zoo, which names all that is meta-trained",
            )
            trainings = trainings_of_the_zoo(task, **settings)
        else:
            trainings = plan_trainings(
                task,
                implementations=implementation,
                presets=preset,
                architectures=architecture,
                seeds=seed,
                **settings,
            )
        study = reproduce_from_scratch(
            folder, trainings, kinds=kinds, n_draws=draws, engine=engine, confirm=confirm
        )
    summarize(study, folder / "report.html")
