"""`loptbench run`."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loptbench.cli.completion import complete_checkpoint, complete_implementation, complete_task
from loptbench.cli.notes import adapter_notes
from loptbench.cli.options import (
    claims_option,
    confirm_option,
    engine_options,
    mnist_option,
    set_option,
)

if TYPE_CHECKING:
    from loptbench.engines.engine import Engine
    from loptbench.study.run import Study

MAX_LINES = 6
"""Lines about the reference results at the end of a run; `--details` prints all."""


@click.command()
@click.argument("optimizers", metavar="[OPTIMIZER]...", nargs=-1)
@set_option
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("loptbench-results"),
    show_default=True,
    help="The results folder; a run goes on from what is there.",
)
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    multiple=True,
    help="Run only this one: a name or package.module:Object. Repeatable. [default: all installed]",
)
@click.option(
    "--checkpoint",
    shell_complete=complete_checkpoint,
    multiple=True,
    help="A checkpoint file, or the name of a shipped one. Repeatable. [default: the zoo's]",
)
@click.option(
    "--task",
    shell_complete=complete_task,
    multiple=True,
    help="Run only this task. Repeatable. [default: all]",
)
@click.option(
    "--tuned",
    "tuned_path",
    type=click.Path(path_type=Path),
    multiple=True,
    help="What `loptbench tune` found. Repeatable. [default: the shipped baselines]",
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
@click.option(
    "--quick",
    "part",
    flag_value="quick",
    help="A small part: one seed of each framework, on the networks of one, on 128 problems.",
)
@click.option("--full", "part", flag_value="full", help="Everything: the whole zoo.")
@confirm_option
@click.option(
    "--details",
    is_flag=True,
    help="At the end, print the numbers of all verdicts, and which runs diverged.",
)
@claims_option("The claims to judge: an edition, or a file of claims.")
@engine_options()
def run(
    optimizers: tuple[str, ...],
    settings: dict[str, Any],
    store: Path,
    implementation: tuple[str, ...],
    checkpoint: tuple[str, ...],
    task: tuple[str, ...],
    tuned_path: tuple[Path, ...],
    seed: int,
    report_path: Path | None,
    claims: str | None,
    engine: "Engine",
    part: str | None,
    confirm: bool,
    details: bool,
) -> None:
    """Run the benchmark: agreement, evaluation and mechanisms, into a results folder.

    An OPTIMIZER is one of another library, such as torch.optim:AdamW or optax:lion, with --set for
    its settings, or package.module:Object with `initial_state` and `step`. It stands beside the
    tuned baselines, and beside the learned optimizers of --quick, --full or --checkpoint.

    Without --quick or --full: all small seeds on quadratic and rosenbrock, and one on two_moons and
    digits, on 128 problems; of a --checkpoint, everything. Says at the end what is left out. Ends
    with the claims by tasks, and last the report's path.
    """
    from loptbench.claims.catalogue import LATEST
    from loptbench.study.run import run as run_study

    if report_path is not None:
        _require_report(report_path, store)
    with adapter_notes():
        study = run_study(
            store,
            implementations=implementation,
            checkpoints=checkpoint,
            optimizers=optimizers,
            settings=settings,
            tasks=task,
            tuned=tuned_path,
            seed=seed,
            engine=engine,
            claims=claims or LATEST,
            part=part,
            confirm=confirm,
        )
    summarize(study, report_path, claims, details)


def summarize(
    study: "Study", report_path: Path | None, claims: str | None = None, details: bool = False
) -> None:
    """Print how a study ended and write its report; exit with 1 if something failed.

    Args:
        study: the study.
        report_path: where to write the report; None for none.
        claims: the edition or file of the claims; that of the study if None.
        details: whether to print the numbers of the verdicts, and which runs diverged.
    """
    from loptbench.cli.claims_table import print_claims, print_numbers
    from loptbench.discovery import Availability
    from loptbench.results.schema.confirmation import kept_in_words
    from loptbench.results.store import TrialStatus

    for discovered in study.implementations:
        if discovered.availability is not Availability.INSTALLED:
            click.echo(f"{discovered.name}: {discovered.availability}: {discovered.reason}")
    for reason in study.not_offered:
        click.echo(f"not offered: {reason}")
    for problem in study.problems:
        click.echo(f"left out: {problem}")
    for reason in study.not_made:
        click.echo(f"failed: {reason}")
    told = {TrialStatus.FAILED, *([TrialStatus.DIVERGED] if details else [])}
    for record in study.records:
        if record.status in told:
            click.echo(f"{record.status}: {record.key}, {record.key.dtype}: {record.message}")
    keys = {record.name: record.key for record in study.records}
    for mean in study.deviating_means:
        key = keys[mean.record]
        click.echo(
            f"failed: mean of {mean.optimizer} on {key.task}, {key.dtype}, over "
            f"{mean.n_problems} problems: {mean.mean:.6g} in {key.implementation}, "
            f"{mean.other_mean:.6g} in {mean.other}: {mean.deviation}"
        )
    verdicts = study.store.frame("verdicts")
    if details:
        print_numbers(verdicts)
    else:
        print_claims(verdicts)
    counts = Counter(record.status for record in study.records)
    deviating = len(study.deviating_means)
    more = f", {deviating} means that deviate" if deviating else ""
    click.echo(f"{', '.join(f'{counts[status]} {status}' for status in TrialStatus)}{more}")
    if study.part.left_out:
        click.echo(f"left out, and measured with --full: {study.part.left_out}")
    if study.kept:
        click.echo(kept_in_words(study.kept))
    _compare_with_reference(study, None if details else MAX_LINES)
    folder = study.store.folder
    if report_path is None:
        click.echo(f"results in {folder}; 'loptbench report {folder}' writes the report")
    else:
        from loptbench.reports.write import report

        click.echo(report(study.store, report_path, claims))
    if study.n_failed:
        sys.exit(1)


def _require_report(path: Path, store: Path) -> None:
    """Refuse a report that could not be written; the folder of the store may still be made."""
    from loptbench.reports.write import require_report

    if path.resolve().parent != store.resolve():
        require_report(path)


def _compare_with_reference(study: "Study", most: int | None) -> None:
    """Print where the results agree with the shipped reference results, and where not.

    Args:
        study: the study.
        most: the largest number of lines; None for all.
    """
    from loptbench.reference_results.comparison import compare_with_reference, in_words

    lines = in_words(compare_with_reference(study.store))
    for line in lines[:most]:
        click.echo(line)
    if most is not None and len(lines) > most:
        click.echo(f"  and {len(lines) - most} more lines: --details prints them")
