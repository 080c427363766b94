"""`loptbench perf study`."""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loptbench.results.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

    from loptbench.timing.workers import Work


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    if text is None:
        return None
    numbers = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in numbers):
        raise click.BadParameter("give numbers such as 1,10,100", context, option)
    return [int(part) for part in numbers]


@click.command("study")
@click.argument("store", type=click.Path(path_type=Path), default=Path("loptbench-results"))
@click.option(
    "--workers",
    metavar="N,N,…",
    default=None,
    callback=_numbers,
    help="Simulate how long the trials take on so many workers, such as 1,10,100,1000.",
)
@click.option(
    "--whole-zoo",
    is_flag=True,
    help="Simulate `reproduce --from-scratch --whole-zoo` before them: first times some outer "
    "steps and draws, which takes minutes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def study(store: Path, workers: list[int] | None, whole_zoo: bool, as_json: bool) -> None:
    """Show where the time of a run went, by kind of trial, implementation and task.

    STORE (default: loptbench-results) holds the results of `loptbench run`. Each record says how
    long its trial took, and how much of that was compilation.
    """
    from loptbench.cli.tables import print_table
    from loptbench.timing.studies import time_by_kind

    if whole_zoo and workers is None:
        raise click.UsageError("--whole-zoo goes with --workers")
    timings = Store.open(store).frame("timings")
    if workers is not None:
        _print_by_workers(timings, workers, whole_zoo, as_json)
        return
    table = time_by_kind(timings)
    if as_json:
        rows = json.loads(table.to_json(orient="records"))
        click.echo(json.dumps({"study": rows}))
        return
    total = float(table.seconds.sum())
    compiling = f"{table.compiling.sum():,.1f} s of it compilation"
    if table.compiling.isna().all():
        compiling = "no record says how long it compiled"
    click.echo(
        f"{table.trials.sum()} trials took {total:,.1f} s in all, {compiling}; trials that ran "
        "side by side count twice\n"
    )
    headings = {
        "seconds": "all (s)",
        "compiling": "compiling (s)",
        "computing": "computing (s)",
        "longest": "longest trial (s)",
    }
    shown = table.assign(share=100 * table.share).rename(columns=headings)
    shown = shown.rename(columns={"share": "of all, %"})
    print_table(shown, dict.fromkeys([*headings.values(), "of all, %"], ",.1f"))


def _print_by_workers(
    timings: "DataFrame", workers: list[int], whole_zoo: bool, as_json: bool
) -> None:
    """Print how long the trials take on so many workers, and where that stops."""
    from loptbench.cli.tables import print_table
    from loptbench.timing.workers import by_workers, longest_way, work_of

    work = work_of(timings)
    making, words = _making() if whole_zoo else ([], "")
    table = by_workers(work, workers, making)
    stops = longest_way(making) + longest_way(work)
    if as_json:
        rows = json.loads(table.to_json(orient="records"))
        click.echo(json.dumps({"workers": rows, "longest": stops}))
        return
    parts = "the longest trial and the one it waits for"
    if making:
        parts = f"the longest meta-training or search ({longest_way(making):,.1f} s), then {parts}"
    click.echo(
        f"{words}{len(timings)} trials, simulated on workers as fast as those that ran them; no "
        f"number of workers takes less than {stops:,.1f} s, {parts}\n"
    )
    headings = {"making": "making (s)", "seconds": "time (s)", "busy": "busy, %"}
    shown = table.assign(busy=100 * table.busy).rename(columns=headings)
    if not making:
        shown = shown.drop(columns="making (s)")
    formats = {"making (s)": ",.0f", "time (s)": ",.1f", "speedup": ",.1f", "busy, %": ",.0f"}
    print_table(shown, {name: each for name, each in formats.items() if name in shown})


def _making() -> "tuple[list[Work], str]":
    """What `reproduce --from-scratch --whole-zoo` makes before the trials, and that in words."""
    from loptbench.discovery import get_implementation
    from loptbench.optimizers import BASELINES, SCHEDULED
    from loptbench.progress import progress
    from loptbench.tasks import TASKS
    from loptbench.timing.from_scratch import made_in_the_zoo, search_seconds, training_seconds
    from loptbench.timing.workers import Work
    from loptbench.tuning.searches import plan_searches

    made = made_in_the_zoo()
    jax = get_implementation("jax")
    searches = plan_searches(jax, TASKS.values(), [*BASELINES, *SCHEDULED])
    work = []
    with progress("timing", len(made) + len(searches)) as report:
        for taken in itertools.chain(training_seconds(made), search_seconds(jax, searches)):
            work.append(Work(taken))
            report(len(work), f"{taken:,.0f} s")
    return work, f"{len(made)} meta-trainings and {len(searches)} searches, then "
