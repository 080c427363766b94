"""`loptbench perf study`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loptbench.results.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def study(store: Path, workers: list[int] | None, as_json: bool) -> None:
    """Show where the time of a run went, by kind of trial, implementation and task.

    STORE (default: loptbench-results) holds the results of `loptbench run`. Nothing is timed: each
    record says how long its trial took, and how much of that was compilation.
    """
    from loptbench.cli.tables import print_table
    from loptbench.timing.studies import time_by_kind

    timings = Store.open(store).frame("timings")
    if workers is not None:
        _print_by_workers(timings, workers, as_json)
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


def _print_by_workers(timings: "DataFrame", workers: list[int], as_json: bool) -> None:
    """Print how long the trials take on so many workers, and where that stops."""
    from loptbench.cli.tables import print_table
    from loptbench.timing.workers import by_workers, longest_way, work_of

    table = by_workers(timings, workers)
    stops = longest_way(work_of(timings))
    if as_json:
        rows = json.loads(table.to_json(orient="records"))
        click.echo(json.dumps({"workers": rows, "longest": stops}))
        return
    click.echo(
        f"{len(timings)} trials, simulated on workers as fast as those that ran them; no number of "
        f"workers takes less than {stops:,.1f} s, the longest trial and the one it waits for\n"
    )
    shown = table.assign(busy=100 * table.busy)
    headings = {"seconds": "time (s)", "busy": "busy, %"}
    print_table(
        shown.rename(columns=headings), {"time (s)": ",.1f", "speedup": ",.1f", "busy, %": ",.0f"}
    )
