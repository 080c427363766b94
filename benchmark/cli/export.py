"""`loptbench export`."""

from pathlib import Path

import click

from loptbench.results.export import ExportFormat
from loptbench.results.export import export as export_frames
from loptbench.results.store import Store


@click.command()
@click.argument("store", type=click.Path(path_type=Path), default=Path("loptbench-results"))
@click.option(
    "--format",
    "file_format",
    type=click.Choice([str(name) for name in ExportFormat]),
    default=str(ExportFormat.CSV),
    show_default=True,
    help="The format of the files; parquet needs pyarrow.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-export"),
    show_default=True,
    help="The folder of the files.",
)
def export(store: Path, file_format: str, output: Path) -> None:
    """Write the results in STORE (default: loptbench-results) as tables, one file for each kind.

    columns.csv describes every column, with its unit.
    """
    problems = export_frames(Store.open(store), output, ExportFormat(file_format))
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    click.echo(output.resolve())
