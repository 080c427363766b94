"""`loptbench perf study`."""

import json
from pathlib import Path

import click

from loptbench.results.store import Store


@click.command("study")
@click.argument("store", type=click.Path(path_type=Path), default=Path("loptbench-results"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def study(store: Path, as_json: bool) -> None:
    """Show where the time of a run went, by kind of trial, implementation and task.

    STORE (default: loptbench-results) holds the results of `loptbench run`. Nothing is timed: each
    record says how long its trial took, and how much of that was compilation.
    """
    from loptbench.cli.tables import print_table
    from loptbench.timing.studies import time_by_kind

    table = time_by_kind(Store.open(store).frame("timings"))
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
