"""`loptbench perf`."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import click

from loptbench.cli.compilation_cache import without_compilation_cache
from loptbench.cli.options import F, device_option
from loptbench.cli.perf_study import study
from loptbench.discovery import get_implementation, require_device
from loptbench.errors import LoptbenchError
from loptbench.optimizers import (
    BASELINES,
    DEFAULT_ARCHITECTURE,
    get_architecture,
    random_gru,
    why_not_offered,
)
from loptbench.progress import progress
from loptbench.protocol import Sweeps
from loptbench.results.provenance import machine
from loptbench.tasks import TASKS, get_task
from loptbench.timing.analyses import analysis_time
from loptbench.timing.baselines import REPEATS, Throughput, peak_memory, tuning_throughput
from loptbench.timing.fixed_points import MAX_STEPS, fixed_point_speed
from loptbench.timing.outer_steps import (
    OuterStep,
    growing,
    outer_steps,
    peak_memories,
    whole_trainings,
)
from loptbench.timing.start import start_times
from loptbench.training.settings import MetaTraining, load_preset
from loptbench.tuning.tuned_file import load_tuned

ANALYZED = ("quadratic-paper-jax-0", "quadratic-quick-jax-0", "momentum:alpha=0.1,beta=0.9")
"""What `perf analyze` times: 256 units, 64 units, and a hand-designed optimizer."""


@click.group(invoke_without_command=True)
@click.pass_context
def perf(context: click.Context) -> None:
    """Time parts beside references, in one process: all of them if none is named, which takes long.

    Both frameworks want all cores: run nothing beside it. JAX compiles everything anew. `study` is
    another thing: it shows where the time of a run went, from its records.
    """
    without_compilation_cache()
    if context.invoked_subcommand is None:
        for command in (start, tune, meta_train, fixed_points, analyze):
            context.invoke(command)
            click.echo()


def _selection_options(*tasks: str) -> Callable[[F], F]:
    """The options that select what is timed; `tasks` are the default tasks."""
    options: list[Callable[[F], F]] = [
        click.option(
            "--implementation",
            multiple=True,
            default=("torch", "jax"),
            show_default=True,
            help="Time this row. Repeatable.",
        ),
        click.option(
            "--task",
            multiple=True,
            type=click.Choice(list(TASKS)),
            default=tasks,
            show_default=True,
            help="On this task. Repeatable.",
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="Print one JSON object, for programs."
        ),
    ]

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@perf.command()
@_selection_options("quadratic", "rosenbrock")
@click.option(
    "--baseline",
    multiple=True,
    type=click.Choice(list(BASELINES)),
    help="With this baseline. Repeatable. [default: all]",
)
@click.option(
    "--repeats", type=click.IntRange(1), default=REPEATS, show_default=True, help="Timings each."
)
def tune(
    implementation: tuple[str, ...],
    task: tuple[str, ...],
    baseline: tuple[str, ...],
    repeats: int,
    as_json: bool,
) -> None:
    """Time the tuner beside the plain loop over torch.optim (which needs the torch extra)."""
    get_implementation("torch")  # raises if it is missing; the plain loop needs it
    implementations = [get_implementation(name) for name in dict.fromkeys(implementation)]
    for computing in implementations:
        if not isinstance(computing, Sweeps):
            raise LoptbenchError(
                f"{computing.name} offers no sweeps: see loptbench.protocol.Sweeps"
            )
    tuned = load_tuned()
    tasks = [get_task(name) for name in dict.fromkeys(task)]
    entries = [(t, e) for t in tasks for e in tuned.of(t) if not baseline or e.kind in baseline]
    rows: list[Throughput] = []
    with progress("timing", len(entries)) as report:
        for done, (chosen, entry) in enumerate(entries):
            report(done, f"{entry.kind} on {chosen.name}")
            rows += tuning_throughput(implementations, chosen, entry, repeats)
        report(len(entries), "done")
    if as_json:
        table = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows]
        about = {"peak_memory_gib": peak_memory(), "machine": machine()}
        click.echo(json.dumps({"tuning": table, **about}, allow_nan=False))
        return
    click.echo(
        "draws · problems · steps per second, median; the plain loop over torch.optim takes one "
        "draw and one problem at a time\n"
    )
    columns: dict[str, list[Any]] = {
        "task": [row.task for row in rows],
        "baseline": [row.kind for row in rows],
        "implementation": [row.implementation for row in rows],
        "first call (s)": [row.first_seconds for row in rows],
        "tuner": [row.per_second for row in rows],
        "plain loop": [row.plain_per_second for row in rows],
        "times as fast": [row.ratio for row in rows],
    }
    _print(columns, {"first call (s)": ".2f", "tuner": ".2g", "times as fast": ",.0f"})
    click.echo(f"\npeak memory of all this: {peak_memory():.2f} GiB")


@perf.command("meta-train")
@_selection_options("quadratic")
@click.option(
    "--units",
    multiple=True,
    type=click.IntRange(1),
    default=(64, 256),
    show_default=True,
    help="With this many units. Repeatable.",
)
@click.option(
    "--architecture",
    multiple=True,
    default=(DEFAULT_ARCHITECTURE,),
    show_default=True,
    help="Of this architecture: gru, lstm, log_lstm, or one from outside. Repeatable.",
)
@click.option(
    "--growing",
    "grow",
    is_flag=True,
    help="Also with growing components, units, steps, and seeds side by side.",
)
@click.option("--memory", is_flag=True, help="Also the peak memory, in processes of their own.")
@click.option(
    "--whole", is_flag=True, help="Also a whole meta-training over its outer steps: takes minutes."
)
@device_option
@click.option(
    "--repeats", type=click.IntRange(1), default=7, show_default=True, help="Timings each."
)
def meta_train(
    implementation: tuple[str, ...],
    task: tuple[str, ...],
    units: tuple[int, ...],
    architecture: tuple[str, ...],
    grow: bool,
    memory: bool,
    whole: bool,
    device: str,
    repeats: int,
    as_json: bool,
) -> None:
    """Time an outer step beside the textbook step in JAX (a), and beside its floor (b).

    The floor is the matrix products and the gates' functions alone. The references need the jax
    extra; of an implementation without a floor, (b) is left out.
    """
    # The textbook step needs JAX: raise now if it is missing.
    require_device(get_implementation("jax"), device)
    if memory and device != "cpu":
        raise click.UsageError("--memory is of the host's memory: leave out --device")
    names = list(dict.fromkeys(implementation))
    for name in names:
        require_device(get_implementation(name), device)
    architectures = [get_architecture(each).name for each in dict.fromkeys(architecture)]
    for name in names:
        for each in architectures:
            if each not in get_implementation(name).optimizers:
                why = why_not_offered(each, name)
                raise LoptbenchError(f"{name} does not compute the architecture {each!r}{why}")
    presets = [
        load_preset("quick", name, {"device": device, "architecture": each})
        for name in dict.fromkeys(task)
        for each in architectures
    ]
    configs = [preset.model_copy(update={"n_units": n}) for preset in presets for n in units]
    rows: list[OuterStep] = []
    with progress("timing", len(configs)) as report:
        for done, config in enumerate(configs):
            report(done, f"{config.architecture} on {config.task} with {config.n_units} units")
            rows += outer_steps(names, config, repeats)
        report(len(configs), "done")
    grown = list(_growing(names, presets, repeats)) if grow else []
    peaks = list(peak_memories(names, configs)) if memory else []
    wholes = list(whole_trainings(names, configs, repeats)) if whole else []
    if as_json:
        table = [dataclasses.asdict(row) for row in rows]
        more = {"growing": grown, "memory": peaks, "whole": wholes, "machine": machine()}
        click.echo(json.dumps({"outer_steps": table, **more}, allow_nan=False))
        return
    click.echo("one outer step, median seconds; (a) textbook in JAX, (b) floor\n")
    steps: dict[str, list[Any]] = {
        "task": [row.task for row in rows],
        "units": [row.n_units for row in rows],
        "implementation": [row.implementation for row in rows],
        "first call (s)": [row.first_seconds for row in rows],
        "step": [row.seconds for row in rows],
        "(a)": [row.textbook_seconds for row in rows],
        "(b)": [row.floor_seconds for row in rows],
        "step/(a)": [_ratio(row, row.textbook_seconds) for row in rows],
        "step/(b)": [_ratio(row, row.floor_seconds) for row in rows],
    }
    if architectures != [DEFAULT_ARCHITECTURE]:
        steps = {"architecture": [row.architecture for row in rows], **steps}
    times = dict.fromkeys(("step", "(a)", "(b)"), ".3f")
    _print(steps, {**times, "first call (s)": ".2f", "step/(a)": ".2f", "step/(b)": ".2f"})
    if grown:
        click.echo("\ngrowing: work and time, times the first of each")
        names_of_growth = ("task", "in", "implementation", "work", "time")
        growing = {name: [growth[name] for growth in grown] for name in names_of_growth}
        _print(growing, {"time": ".2f"})
    for peak in peaks:
        kept = "all steps" if peak["bptt_segment"] is None else f"{peak['bptt_segment']} steps"
        click.echo(
            f"peak memory of {peak['implementation']} on {peak['task']}, {peak['n_units']} units, "
            f"{kept} kept: {peak['peak_memory_gib']:.2f} GiB"
        )
    for timed in wholes:
        click.echo(
            f"a whole meta-training in {timed['implementation']} on {timed['task']}, "
            f"{timed['n_units']} units: {timed['whole_over_steps']:.2f} times its outer steps"
        )


def _growing(
    names: list[str], presets: list[MetaTraining], repeats: int
) -> Iterator[dict[str, Any]]:
    for preset in presets:
        for quantity, settings in growing(preset):
            first: dict[str, OuterStep] = {}
            for config, n_seeds in settings:
                for row in outer_steps(
                    names, config, repeats, with_references=False, n_seeds=n_seeds
                ):
                    start = first.setdefault(row.implementation, row)
                    yield {
                        "task": preset.task,
                        "in": quantity,
                        "implementation": row.implementation,
                        "work": row.work / start.work,
                        "time": row.seconds / start.seconds,
                    }


def _ratio(row: OuterStep, reference: float | None) -> float | None:
    return None if reference is None else row.seconds / reference


@perf.command("fixed-points")
@click.option(
    "--units", multiple=True, type=click.IntRange(1), default=(64, 256), show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def fixed_points(units: tuple[int, ...], as_json: bool) -> None:
    """Time a sweep of 200 gradients beside gradient descent on the squared speed.

    Of a GRU with random weights, in the reference.
    """
    rows = [fixed_point_speed(random_gru(n, 0)) for n in units]
    if as_json:
        table = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows]
        click.echo(json.dumps({"fixed_points": table, "machine": machine()}, allow_nan=False))
        return
    click.echo(
        "200 gradients; descent: Adam at 0.01 on the squared speed, until 1e-8 or "
        f"{MAX_STEPS:,} steps\n"
    )
    columns: dict[str, list[Any]] = {
        "units": [row.n_units for row in rows],
        "sweep (s)": [row.seconds for row in rows],
        "settled": [row.found for row in rows],
        "residual": [row.residual for row in rows],
        "descent (s)": [row.descent_seconds for row in rows],
        "reached": [row.descent_reached for row in rows],
        "its residual": [row.descent_residual for row in rows],
        "times as fast": [row.ratio for row in rows],
    }
    _print(columns, {"residual": ".1e", "its residual": ".1e", "times as fast": ".1f"})


@perf.command("analyze")
@click.argument("what", nargs=-1)
@click.option("--implementation", default="reference", show_default=True, help="What computes it.")
@click.option(
    "--repeats", type=click.IntRange(1), default=3, show_default=True, help="Timings each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def analyze(what: tuple[str, ...], implementation: str, repeats: int, as_json: bool) -> None:
    """Time all probes of an optimizer, after start-up, beside the bare products of its drive.

    WHAT is as in `loptbench analyze`; without it, GRUs of 256 and of 64 units, and momentum.
    """
    rows = [analysis_time(name, implementation, repeats) for name in what or ANALYZED]
    if as_json:
        table = [dataclasses.asdict(row) for row in rows]
        click.echo(json.dumps({"analyses": table, "machine": machine()}, allow_nan=False))
        return
    click.echo(f"all probes, computed by {implementation}, median seconds\n")
    columns: dict[str, list[Any]] = {
        "optimizer": [row.optimizer for row in rows],
        "task": [row.task for row in rows],
        "state variables": [row.n_state for row in rows],
        "all probes (s)": [row.seconds for row in rows],
        "products of the drive (s)": [row.products_seconds for row in rows],
    }
    _print(columns, {"all probes (s)": ".2f", "products of the drive (s)": ".2f"})


@perf.command("start")
@click.option(
    "--repeats", type=click.IntRange(1), default=7, show_default=True, help="Timings each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
def start(repeats: int, as_json: bool) -> None:
    """Time `--help`, `list` and `info` beside `python -c "import numpy"`, as whole processes."""
    times = start_times(repeats)
    if as_json:
        table = [dataclasses.asdict(row) | {"ratio": row.ratio} for row in times]
        click.echo(json.dumps({"start": table, "machine": machine()}, allow_nan=False))
        return
    click.echo("whole processes, median seconds\n")
    columns: dict[str, list[Any]] = {
        "command": [row.command for row in times],
        "time (s)": [row.seconds for row in times],
        "import numpy (s)": [row.reference_seconds for row in times],
        "ratio": [row.ratio for row in times],
    }
    _print(columns, {"time (s)": ".3f", "import numpy (s)": ".3f", "ratio": ".1f"})


perf.add_command(study)


def _print(columns: dict[str, list[Any]], formats: dict[str, str]) -> None:
    """Print a table of timings."""
    import pandas as pd

    from loptbench.cli.tables import print_table

    print_table(pd.DataFrame(columns), formats)
