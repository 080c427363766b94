"""`loptbench info`."""

import click

from loptbench.discovery import Availability, discover_declarations
from loptbench.results.provenance import machine, versions_of
from loptbench.zoo.catalogue import names, shipped


@click.command()
def info() -> None:
    """Versions, machine and checkpoints: what to put into a bug report."""
    for name, value in machine().items():
        click.echo(f"{name:12} {'unknown' if value is None else value}")
    for entry in discover_declarations():
        if entry.availability is Availability.INSTALLED:
            versions = versions_of(entry.implementation)
            text = ", ".join(f"{name} {version}" for name, version in versions.items())
        else:
            text = f"{entry.availability}: {entry.reason}"
        click.echo(f"{entry.name:12} {text}")
        if threads := getattr(entry.implementation, "threads", ""):
            click.echo(f"{'':12} threads: {threads}")
    for name in names():
        checkpoint = shipped(name)
        click.echo(
            f"checkpoint   {name}: {checkpoint.optimizer.n_state} units, meta-trained on "
            f"{checkpoint.task}, sha256 {checkpoint.sha256[:12]}"
        )
