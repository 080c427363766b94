"""`loptbench tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.notes import adapter_notes
from loptbench.cli.options import engine_options, mnist_option, range_option, set_option
from loptbench.optimizers import BASELINES, SCHEDULES

if TYPE_CHECKING:
    from loptbench.engines.engine import Engine
    from loptbench.tuning.ranges import Range
    from loptbench.tuning.tuned_file import TunedBaseline


@click.command()
@click.argument("optimizer", required=False)
@set_option
@range_option(
    "Search this setting of OPTIMIZER, uniformly in its logarithm; 1-NAME=LOW:HIGH draws 1 − NAME, "
    "as for decays. Repeatable.  [default: the learning rate, 1e-5:100]"
)
@click.option(
    "--task",
    shell_complete=complete_task,
    multiple=True,
    help="Tune on this task. Repeatable. [default: all]",
)
@click.option(
    "--baseline",
    multiple=True,
    type=click.Choice(list(BASELINES)),
    help="Tune this baseline. Repeatable. [default: all]",
)
@click.option(
    "--schedule",
    multiple=True,
    type=click.Choice(["none", *SCHEDULES]),
    help="Tune with this learning-rate schedule. Repeatable. [default: none]",
)
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    help="What computes it: jax or torch. [default: jax; of an optimizer of PyTorch, torch]",
)
@click.option("--draws", type=int, default=None, help="Draws from the whole range. [default: 2500]")
@click.option(
    "--problems", type=int, default=None, help="Problems. [default: 512; of the networks, 16]"
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of draws and problems."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-tuned.json"),
    show_default=True,
    help="The file to write.",
)
@engine_options(jobs=1)
@mnist_option
def tune(
    optimizer: str | None,
    settings: dict[str, Any],
    ranges: "dict[str, Range]",
    task: tuple[str, ...],
    baseline: tuple[str, ...],
    schedule: tuple[str, ...],
    implementation: str | None,
    draws: int | None,
    problems: int | None,
    seed: int,
    output: Path,
    engine: "Engine",
) -> None:
    """Search the hyperparameters of the baselines, at random, on the `tune` problems.

    With OPTIMIZER, such as optax:lion or torch.optim:AdamW, those of that one instead. Its draws
    run one after the other, in float64. `loptbench run --tuned FILE` measures what is found.

    Interrupted, it goes on from its last block when called again with the same arguments.
    """
    import pandas as pd

    from loptbench.cli.tables import print_table
    from loptbench.tuning.run import tune as tune_baselines
    from loptbench.tuning.tuned_file import EDGE_FRACTION

    baselines = [
        kind if name == "none" else f"{name}_{kind}"
        for name in dict.fromkeys(schedule or ["none"])
        for kind in baseline or BASELINES
    ]
    if optimizer is not None and not baseline and not schedule:
        baselines = []
    with adapter_notes():
        tuned = tune_baselines(
            output,
            tasks=task,
            baselines=baselines,
            optimizer=optimizer,
            settings=settings,
            ranges=ranges,
            implementation=implementation,
            seed=seed,
            n_draws=draws,
            n_problems=problems,
            engine=engine,
        )
    print_table(pd.DataFrame([_row(entry) for entry in tuned.entries]), {"score": ".5f"})
    edges = [
        f"{entry.kind} on {entry.task['task']}: {', '.join(entry.on_edge)}"
        for entry in tuned.entries
        if entry.on_edge
    ]
    if edges:
        click.echo(f"on the edge of the range, which is too narrow: {'; '.join(edges)}")
    else:
        click.echo(
            f"every optimum lies inside its range, {EDGE_FRACTION:.0%} of it or more from the ends"
        )
    click.echo(output)


def _row(entry: "TunedBaseline") -> dict[str, Any]:
    """The row of a tuned baseline."""
    values = []
    for name, value in entry.hyperparameters.items():
        ends = entry.searched[name].ends
        values.append(f"{name} = {value:.6g} of {ends[0]:g} to {ends[1]:g}")
    return {
        "task": entry.task["task"],
        "baseline": entry.kind,
        "score": entry.score,
        "hyperparameters": ", ".join(values),
        "draws": entry.n_draws,
        "complete": entry.n_complete,
        "diverged": entry.n_diverged,
    }
