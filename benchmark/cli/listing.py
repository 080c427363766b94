"""`loptbench list`."""

import click

from loptbench.conformance import CHECKS
from loptbench.discovery import Availability, discover_declarations
from loptbench.tasks import TASKS
from loptbench.zoo.catalogue import names


@click.command("list")
def list_() -> None:
    """Implementations (installed, not installed, broken), tasks, checkpoints and checks."""
    click.echo("implementations")
    for entry in discover_declarations():
        click.echo(f"  {entry.name:16} {entry.availability:14} {entry.source}")
        if entry.availability is Availability.INSTALLED:
            offer = entry.implementation
            click.echo(
                f"  {'':16} optimizers: {', '.join(offer.optimizers)}; tasks: "
                f"{', '.join(offer.tasks) or 'none'}; dtypes: {', '.join(offer.dtypes)}"
            )
        else:
            click.echo(f"  {'':16} {entry.reason}")
        if entry.details:
            click.echo("".join(f"    | {line}\n" for line in entry.details.splitlines()), nl=False)
    click.echo("tasks")
    for name, task in TASKS.items():
        summary = (type(task).__doc__ or "").splitlines()[0]
        click.echo(f"  {name:16} {task.n_parameters} parameters, {task.n_steps} steps: {summary}")
    click.echo("checkpoints")
    for name in names():
        click.echo(f"  {name}")
    click.echo("checks")
    for check in CHECKS:
        click.echo(f"  {check.name:26} level {check.level:d}: {check.means}")
