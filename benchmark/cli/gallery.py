"""`loptbench gallery`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-gallery.html"),
    show_default=True,
    help="The page to write; a name that ends in .csv is a table instead.",
)
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    help="Measure only this one, such as optax:lion. Repeatable. [default: all]",
)
@click.option("--shipped", is_flag=True, help="Write the shipped results; measure nothing.")
def gallery(output: Path, only: tuple[str, ...], shipped: bool) -> None:
    """Put every optimizer of torch.optim and optax through the probes, and write one table.

    Those that are not component-wise are in it with the reason. Takes about ten minutes.
    """
    from loptbench.gallery import measure
    from loptbench.gallery import shipped as shipped_table
    from loptbench.reports.gallery import write

    if shipped:
        table = shipped_table()
        table = table[table["optimizer"].isin(only)] if only else table
    else:
        table = measure(only, lambda name: click.echo(name, err=True))
    click.echo(write(table, output))
