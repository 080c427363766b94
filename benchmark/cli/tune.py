"""`loptbench tune`."""

from pathlib import Path
from typing import Any

import click

from loptbench.cli.options import mnist_option
from loptbench.discovery import get_implementation
from loptbench.optimizers import BASELINES
from loptbench.progress import progress
from loptbench.tasks import TASKS, get_task
from loptbench.tuning.search import RANGES
from loptbench.tuning.tuned_file import EDGE_FRACTION, TunedBaseline, plan_searches
from loptbench.tuning.tuned_file import tune as tune_baselines


@click.command()
@click.option("--task", multiple=True, help="Tune on this task. Repeatable. [default: all]")
@click.option(
    "--baseline",
    multiple=True,
    type=click.Choice(list(BASELINES)),
    help="Tune this baseline. Repeatable. [default: all]",
)
@click.option(
    "--implementation", default="jax", show_default=True, help="What computes it: jax or torch."
)
@click.option("--draws", type=int, default=None, help="Draws from the whole range. [default: 2500]")
@click.option(
    "--problems", type=int, default=None, help="Problems. [default: 64; of the networks, 16]"
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
@mnist_option
def tune(
    task: tuple[str, ...],
    baseline: tuple[str, ...],
    implementation: str,
    draws: int | None,
    problems: int | None,
    seed: int,
    output: Path,
) -> None:
    """Search the hyperparameters of the baselines, at random, on the `tune` problems.

    Interrupted, it goes on from its last block when called again with the same arguments.
    """
    tasks = [get_task(name) for name in dict.fromkeys(task or TASKS)]
    kinds = list(dict.fromkeys(baseline or BASELINES))
    one = get_implementation(implementation)
    given: dict[str, Any] = {"n_draws": draws, "n_problems": problems}
    changes = {name: value for name, value in given.items() if value is not None}
    searches = plan_searches(one, tasks, kinds, seed=seed, **changes)
    total = sum(settings.n_total for *_, settings in searches)
    with progress("tuning", total) as report:
        found = tune_baselines(one, searches, output, report)
    for entry in found.entries:
        click.echo(_line(entry))
    edges = [
        f"{entry.kind} on {entry.task['task']}: {', '.join(entry.on_edge)}"
        for entry in found.entries
        if entry.on_edge
    ]
    if edges:
        click.echo(f"on the edge of the range, which is too narrow: {'; '.join(edges)}")
    else:
        click.echo(
            f"every optimum lies inside its range, {EDGE_FRACTION:.0%} of it or more from the ends"
        )
    click.echo(output)


def _line(entry: TunedBaseline) -> str:
    named = []
    for name, value in entry.hyperparameters.items():
        one = RANGES[entry.kind][name]
        ends = (1 - one.high, 1 - one.low) if one.of_complement else (one.low, one.high)
        named.append(f"{name} = {value:.6g} of {ends[0]:g} to {ends[1]:g}")
    return (
        f"{entry.task['task']:10} {entry.kind:8} {entry.score:.5f}  {', '.join(named)}"
        f"  ({entry.n_draws} draws: {entry.n_complete} complete, {entry.n_diverged} diverged)"
    )
