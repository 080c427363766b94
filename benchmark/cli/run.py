"""`loptbench run`."""

import sys
from collections import Counter
from pathlib import Path

import click

from loptbench.claims.evidence import evidence_of
from loptbench.claims.verdicts import Scope, Verdict, judge_all
from loptbench.cli.options import jobs_option, mnist_option
from loptbench.cli.report import write_report
from loptbench.discovery import Availability, DiscoveredImplementation, discover, get_implementation
from loptbench.errors import LoptbenchError
from loptbench.progress import progress
from loptbench.results.frames import Contents
from loptbench.results.store import Record, Store, TrialStatus
from loptbench.storage.weights import Checkpoint, load_checkpoint
from loptbench.study.execution import run_trials
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS, get_task
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import names, representatives, shipped

QUICK = ("quadratic", "rosenbrock")
"""The tasks on which one learned optimizer of the zoo is held together in every implementation. On
networks a trial of it takes minutes; there, implementations are held together on random ones."""


@click.command()
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("loptbench-results"),
    show_default=True,
    help="The results folder; a run goes on from what is there.",
)
@click.option(
    "--implementation",
    multiple=True,
    help="Run only this one: a name or package.module:Object. Repeatable. [default: all installed]",
)
@click.option(
    "--checkpoint",
    multiple=True,
    help="A checkpoint file, or the name of a shipped one. Repeatable. [default: the zoo]",
)
@click.option("--task", multiple=True, help="Run only this task. Repeatable. [default: all]")
@click.option(
    "--tuned",
    "tuned_path",
    type=click.Path(path_type=Path),
    default=None,
    help="Baselines that `loptbench tune` found. [default: those shipped]",
)
@mnist_option
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of problems and random optimizers.",
)
@click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the HTML report here afterwards.",
)
@jobs_option
def run(
    store: Path,
    implementation: tuple[str, ...],
    checkpoint: tuple[str, ...],
    task: tuple[str, ...],
    tuned_path: Path | None,
    seed: int,
    report_path: Path | None,
    jobs: int,
) -> None:
    """Run the benchmark: agreement, evaluation and mechanisms, into a results folder."""
    tasks = [get_task(name).name for name in task or TASKS]
    checkpoints = _checkpoints(checkpoint or tuple(names()))
    # Of one's own, all are held to each other; of the zoo, one for each task that is quick enough.
    checked = checkpoints if checkpoint else representatives(t for t in tasks if t in QUICK)
    entries = _entries(implementation)
    trials = plan(entries, checkpoints, load_tuned(tuned_path), seed, tasks, checked)
    measure(trials, store, entries, report_path, jobs)


def measure(
    trials: list[Trial],
    store: Path,
    entries: list[DiscoveredImplementation],
    report_path: Path | None,
    jobs: int,
) -> None:
    """Run trials into a store, say how they ended, and write the report.

    Exits with 1 if one failed.
    """
    results = Store.create(store)
    with progress("loptbench", len(trials)) as tell:
        records = run_trials(trials, results, entries, tell, jobs)
    verdicts = judge_all(evidence_of(Contents(records)))
    results.put_verdicts(verdicts, records)
    failed = _summarize(records, entries)
    _summarize_claims(verdicts)
    if report_path is not None:
        write_report(results, report_path)
    else:
        click.echo(f"results in {store}; 'loptbench report {store}' writes the report")
    if failed:
        sys.exit(1)


def _summarize_claims(verdicts: list[Verdict]) -> None:
    """One line for each claim on each task, over all seeds."""
    for verdict in verdicts:
        if verdict.scope is not Scope.ALL_SEEDS:
            continue
        said = f"{verdict.n_reproduced} of {verdict.n_seeds} seeds"
        if verdict.value is not None:
            said += f", mean {verdict.value:.3g}"
        if verdict.low is not None and verdict.high is not None:
            said += f" [{verdict.low:.3g}, {verdict.high:.3g}]"
        reason = f" ({verdict.reason})" if verdict.reason else ""
        what = f"{verdict.claim} on {verdict.task} ({verdict.subject})"
        click.echo(f"{what}: {verdict.outcome}: {said}{reason}")


def _checkpoints(chosen: tuple[str, ...]) -> dict[str, Checkpoint]:
    in_the_zoo = set(names())
    found: dict[str, Checkpoint] = {}
    for name in chosen:
        label = name if name in in_the_zoo else Path(name).stem
        if label in found:
            raise LoptbenchError(f"two checkpoints are called {label!r}; rename one of the files")
        found[label] = shipped(name) if name in in_the_zoo else load_checkpoint(name)
    return found


def _entries(names: tuple[str, ...]) -> list[DiscoveredImplementation]:
    if not names:
        return discover()
    chosen: list[DiscoveredImplementation] = []
    for name in dict.fromkeys(names):
        one = get_implementation(name)
        label = one.name if ":" in name else name
        if any(entry.name == label for entry in chosen):
            raise LoptbenchError(f"two implementations are called {label!r}; rename one")
        source = name if ":" in name else f"{type(one).__module__}:{type(one).__qualname__}"
        chosen.append(
            DiscoveredImplementation(label, source, Availability.INSTALLED, implementation=one)
        )
    return chosen


def _summarize(records: list[Record], entries: list[DiscoveredImplementation]) -> int:
    for entry in entries:
        if entry.availability is not Availability.INSTALLED:
            click.echo(f"{entry.name}: {entry.availability}: {entry.reason}")
    for record in records:
        if record.status is not TrialStatus.OK:
            click.echo(f"{record.status}: {record.key}, {record.key.dtype}: {record.message}")
    counts = Counter(str(record.status) for record in records)
    click.echo(", ".join(f"{counts[str(status)]} {status}" for status in TrialStatus))
    return counts[str(TrialStatus.FAILED)] + sum(
        entry.availability is Availability.BROKEN for entry in entries
    )
