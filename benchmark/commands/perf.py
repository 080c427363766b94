"""`loptbench perf`."""

import dataclasses
import json

import click

from loptbench.errors import LoptbenchError
from loptbench.optimizers import BASELINES
from loptbench.perf import REPEATS, Throughput, peak_memory, tuning_throughput
from loptbench.progress import progress
from loptbench.protocol import Sweeps
from loptbench.provenance import machine
from loptbench.registry import get_implementation
from loptbench.tasks import TASKS, get_task
from loptbench.tuned import load_tuned


@click.command()
@click.option(
    "--implementation",
    multiple=True,
    default=("torch", "jax"),
    show_default=True,
    help="Time this one. Repeatable.",
)
@click.option(
    "--task",
    multiple=True,
    type=click.Choice(list(TASKS)),
    default=("quadratic", "rosenbrock"),
    show_default=True,
    help="On this task. Repeatable.",
)
@click.option(
    "--baseline",
    multiple=True,
    type=click.Choice(list(BASELINES)),
    help="With this baseline. Repeatable. [default: all]",
)
@click.option(
    "--repeats", type=click.IntRange(1), default=REPEATS, show_default=True, help="Timings each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def perf(
    implementation: tuple[str, ...],
    task: tuple[str, ...],
    baseline: tuple[str, ...],
    repeats: int,
    as_json: bool,
) -> None:
    """Time the tuner beside the plain loop over torch.optim (which needs the torch extra)."""
    get_implementation("torch")  # the plain loop is there
    ones = [get_implementation(name) for name in dict.fromkeys(implementation)]
    for one in ones:
        if not isinstance(one, Sweeps):
            raise LoptbenchError(f"{one.name} offers no sweeps: see loptbench.protocol.Sweeps")
    tuned = load_tuned()
    tasks = [get_task(name) for name in dict.fromkeys(task)]
    entries = [(t, e) for t in tasks for e in tuned.of(t) if not baseline or e.kind in baseline]
    found: list[Throughput] = []
    with progress("timing", len(entries)) as report:
        for done, (chosen, entry) in enumerate(entries):
            report(done, f"{entry.kind} on {chosen.name}")
            found += tuning_throughput(ones, chosen, entry, repeats)
        report(len(entries), "done")
    if as_json:
        rows = [dataclasses.asdict(one) | {"ratio": one.ratio} for one in found]
        about = {"peak_memory_gib": peak_memory(), "machine": machine()}
        click.echo(json.dumps({"tuning": rows, **about}, allow_nan=False))
        return
    click.echo(
        "draws · problems · steps per second, median; the plain loop over torch.optim takes one "
        "draw and one problem at a time\n"
    )
    click.echo(
        "task        baseline  implementation  first call    tuner  plain loop  times as fast"
    )
    for one in found:
        click.echo(
            f"{one.task:10}  {one.kind:8}  {one.implementation:14}  {one.first_seconds:8.2f} s"
            f"  {one.per_second:7.2g}  {one.plain_per_second:10.3g}  {one.ratio:13,.0f}"
        )
    click.echo(f"\npeak memory of all this: {peak_memory():.2f} GiB")
