"""`loptbench statistics`."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import click

from loptbench.cli.options import jobs_option
from loptbench.errors import LoptbenchError
from loptbench.tasks import TASKS, get_task


@click.group()
def statistics() -> None:
    """Check the statistics of the benchmark: docs/how_it_works/statistics.md has the results."""


@statistics.command()
@click.option("--task", type=click.Choice(list(TASKS)), default="rosenbrock", show_default=True)
@click.option(
    "--optimizer", default="rosenbrock-quick-jax-3", show_default=True, help="A checkpoint."
)
@click.option(
    "--against", default="adam", show_default=True, help="A tuned baseline, or a checkpoint."
)
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(2),
    multiple=True,
    default=(128, 512, 4096),
    show_default=True,
    help="Problems of a sample. Repeatable.",
)
@click.option("--population", "n_population", default=131_072, show_default=True)
@click.option("--samples", default=2_000, show_default=True, help="Samples of each size.")
@click.option("--resamples", default=999, show_default=True, help="Resamples of each sample.")
@click.option("--implementation", default="jax", show_default=True, help="It makes the population.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@jobs_option
def coverage(
    task: str,
    optimizer: str,
    against: str,
    sizes: tuple[int, ...],
    n_population: int,
    samples: int,
    resamples: int,
    implementation: str,
    as_json: bool,
    jobs: int,
) -> None:
    """How often 95 % intervals cover, of samples from a population of losses.

    With the default numbers it takes most of an hour.
    """
    from loptbench.study.coverage import coverages, optimizers, population

    known = optimizers(task)
    for name in (optimizer, against):
        if name not in known:
            raise LoptbenchError(f"{name!r} is not evaluated on {task}; known: {', '.join(known)}")
    a, b = (population(task, name, n_population, implementation) for name in (optimizer, against))
    found = list(coverages(a, b, sizes, samples, resamples, jobs))
    if as_json:
        _print_json([dataclasses.asdict(row) for row in found])
        return
    _print(
        {
            "statistic": row.statistic,
            "interval": row.method,
            "problems": row.n_problems,
            "covers, %": 100 * row.share,
            "too high, %": 100 * row.n_above / row.n_samples,
            "too low, %": 100 * row.n_below / row.n_samples,
            "population": row.value,
            "median width": row.width,
        }
        for row in found
    )


@statistics.command()
@click.option(
    "--task",
    "tasks",
    type=click.Choice(list(TASKS)),
    multiple=True,
    help="Repeatable; all if none.",
)
@click.option("--problems", type=click.IntRange(2), help="Held-out problems; all if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def float32(tasks: tuple[str, ...], problems: int | None, as_json: bool) -> None:
    """What float32 changes about the evaluations of shipped optimizers."""
    from loptbench.study.arithmetic import arithmetic

    rows: list[dict[str, Any]] = []
    for task in tasks or TASKS:
        rows += [
            {"task": task, **dataclasses.asdict(change), "share": change.share}
            for change in arithmetic(get_task(task), problems)
        ]
    if as_json:
        _print_json(rows)
        return
    _print(
        {
            "task": row["task"],
            "optimizer": row["optimizer"],
            "in": row["implementation"],
            "statistic": row["statistic"],
            "float64": row["value"],
            "change / width": row["share"],
        }
        for row in rows
    )


def _print(rows: Iterable[dict[str, Any]]) -> None:
    from pandas import DataFrame

    from loptbench.cli.tables import print_table

    print_table(DataFrame(rows))


def _print_json(rows: list[dict[str, Any]]) -> None:
    click.echo(json.dumps({"rows": rows}, indent=1))
