"""`loptbench report`."""

from pathlib import Path

import click

from loptbench.cli.options import claims_option


@click.command()
@click.argument("store", type=click.Path(path_type=Path), default=Path("loptbench-results"))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-report.html"),
    show_default=True,
    help="The file to write.",
)
@claims_option("The claims whose verdicts are shown: an edition, or a file of claims.")
def report(store: Path, output: Path, claims: str | None) -> None:
    """Write the HTML report of the results in STORE (default: loptbench-results)."""
    from loptbench.reports.write import report as write_report

    click.echo(write_report(store, output, claims))
