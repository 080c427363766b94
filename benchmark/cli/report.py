"""`loptbench report`."""

from pathlib import Path

import click

from loptbench.errors import NotInstalledError
from loptbench.results.store import Store
from loptbench.storage.files import write_atomically


@click.command()
@click.argument("store", type=click.Path(path_type=Path), default=Path("loptbench-results"))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-report.html"),
    show_default=True,
    help="The file to write.",
)
def report(store: Path, output: Path) -> None:
    """Write the HTML report of the results in STORE (default: loptbench-results)."""
    write_report(Store.open(store), output)


def write_report(store: Store, output: Path) -> None:
    """Render a store and print the path of the report, last."""
    try:
        from loptbench.reports.page.store import render
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"the report needs {error.name!r}, not installed: pip install 'loptbench[report]'"
        ) from error
    write_atomically(output, render(store).encode(errors="backslashreplace"))
    click.echo(output.resolve())
