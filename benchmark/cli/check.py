"""`loptbench check`."""

import shlex
import sys
import traceback
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from loptbench.cli.compilation_cache import compile_quickly
from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import DTYPES, device_option, mnist_option
from loptbench.conformance import CHECKS, Check, CheckStatus, Outcome, Subject, run_check
from loptbench.conformance.cases import checked_kinds
from loptbench.conformance.expected import Expectations, load_expected
from loptbench.conformance.selection import Estimate, Selection, selected_pairs
from loptbench.discovery import get_implementation, require_device
from loptbench.errors import BrokenImplementationError, ContractError, LoptbenchError
from loptbench.progress import Report, progress
from loptbench.tasks import argument_of, get_task


@click.command()
@click.argument("name", shell_complete=complete_implementation)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([c.name for c in CHECKS]),
    help="Run only this check.",
)
@click.option("--level", multiple=True, type=click.IntRange(1, 5), help="Run only this level.")
@click.option("--task", shell_complete=complete_task, multiple=True, help="Run only on this task.")
@click.option("--optimizer", multiple=True, help="Run only on this kind, or case of that name.")
@click.option("--dtype", multiple=True, type=click.Choice(DTYPES), help="Run only in this dtype.")
@click.option(
    "--seed",
    default=7,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of problems and optimizers.",
)
@click.option(
    "--expected-failures",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TOML of known failures, [[expected]] with check, reason, and perhaps optimizer, task, "
    "dtype, device. They do not fail the command; one that no longer fails is warned of.",
)
@mnist_option
@device_option
@click.option("--all", "all_", is_flag=True, help="Go on after the first failure.")
@click.pass_context
def check(
    context: click.Context,
    name: str,
    only: tuple[str, ...],
    level: tuple[int, ...],
    task: tuple[str, ...],
    optimizer: tuple[str, ...],
    dtype: tuple[str, ...],
    seed: int,
    expected_failures: Path | None,
    device: str,
    all_: bool,
) -> None:
    """Check an implementation, cheapest first, stopping at the first cause.

    NAME is one that `loptbench list` knows, or package.module:Object.
    """
    compile_quickly()
    expectations = Expectations(load_expected(expected_failures) if expected_failures else [])
    for task_name in task:  # an implementation may name a task from outside
        get_task(task_name)
    try:
        implementation = get_implementation(name)
    except (BrokenImplementationError, ContractError) as error:
        click.echo(f"import                     FAILED  {error}")
        if error.__cause__ is not None:
            click.echo("".join(traceback.format_exception(error.__cause__)), nl=False)
        sys.exit(1)
    require_device(implementation, device)
    click.echo(f"import                     passed  {implementation.name} [{name}]")
    selection = Selection(only, level, task, optimizer, dtype)
    planned = selected_pairs(implementation, selection, seed, device)
    options = ["--seed", str(seed), "--device", device]
    if "mnist" in context.meta:
        options += ["--mnist", str(context.meta["mnist"])]
    printed = _Printed(name, options, expectations)
    with progress(f"check {name}", len(planned), every_line=True) as report:
        _run(planned, report, printed, go_on=all_)
    everything = selection == Selection((), (), (), (), ()) and not (printed.failed and not all_)
    for warning in expectations.stale(everything):
        click.echo(f"warning: {warning}")
    if printed.failed:
        sys.exit(1)
    if not printed.passed and not printed.expected:
        raise LoptbenchError(
            f"nothing was checked: of what {name} offers, nothing is left by --only, --level, "
            "--task, --optimizer and --dtype"
        )
    click.echo(printed.summary())
    for kind in sorted(set(implementation.optimizers) - set(checked_kinds(implementation))):
        click.echo(f"optimizer {kind} was not checked: it brings no cell for the reference")
    for unchecked in sorted(set(implementation.devices) - {device}):
        click.echo(f"device {unchecked} was not checked: --device {unchecked} does that")


def _run(
    planned: list[tuple[Check, Subject]], report: Report, printed: "_Printed", go_on: bool
) -> None:
    """Run the checks, say of each case that it starts, and print a line for each check."""
    estimate = Estimate(planned)
    done = 0
    for checked, group in groupby(planned, key=lambda pair: pair[0]):
        outcomes: list[Outcome] = []
        for _, subject in group:
            report(done, f"{checked.name}: {_case(subject)}; {estimate}")
            outcomes.append(run_check(checked, subject))
            done += 1
            estimate.finish(checked)
            if printed.counts_as_failure(outcomes[-1]) and not go_on:
                break
        printed.check(checked, outcomes)
        if printed.failed and not go_on:
            printed.write(
                "stopped at the first failure; the checks after it were not run (--all runs them)"
            )
            return
    report(done, "done")


def _case(subject: Subject) -> str:
    return f"{subject.case.label}, {subject.case.task.name}, {subject.dtype}"


class _Printed:
    """What is printed of the checks, and what was counted.

    Attributes:
        passed: the number of checks that passed on some case.
        skipped: the number of checks that do not apply.
        failed: the number of failures that were not expected.
        expected: the number of failures that were.
    """

    def __init__(self, name: str, options: list[str], expectations: Expectations) -> None:
        self.name, self.options, self.expectations = name, options, expectations
        self.passed = self.skipped = self.failed = self.expected = 0
        self.reasons: dict[int, str] = {}
        # A bar on the terminal redirects sys.stdout to standard error: a file keeps its lines.
        self.stream: Any = None if sys.stdout.isatty() else sys.stdout

    def write(self, line: str) -> None:
        """Print a line on standard output."""
        click.echo(line, file=self.stream)

    def counts_as_failure(self, outcome: Outcome) -> bool:
        """Whether an outcome is a failure that was not expected; each outcome is asked once."""
        self.reasons[id(outcome)] = self.expectations.reason(outcome)
        if outcome.status is not CheckStatus.FAILED:
            return False
        if self.reasons[id(outcome)]:
            self.expected += 1
            return False
        self.failed += 1
        return True

    def check(self, checked: Check, outcomes: list[Outcome]) -> None:
        """Print the line of a check, and the messages of its failures."""
        known = {id(o): self.reasons.pop(id(o)) for o in outcomes}
        self.write(f"{checked.name:26} {_line(outcomes, set(filter(None, known.values())))}")
        self.passed += any(outcome.status is CheckStatus.PASSED for outcome in outcomes)
        self.skipped += all(outcome.status is CheckStatus.SKIPPED for outcome in outcomes)
        for outcome in outcomes:
            if outcome.status is CheckStatus.FAILED and not known[id(outcome)]:
                self.write(f"    {outcome.message}")
                self.write(f"    wanted: {checked.means}")
                self.write(f"    repeat: {self.repeat(outcome)}")

    def repeat(self, outcome: Outcome) -> str:
        """The command that runs exactly this check on this case."""
        subject = outcome.subject
        words = ["loptbench", "check", self.name, "--only", outcome.check.name]
        words += ["--optimizer", subject.case.label, "--task", argument_of(subject.case.task)]
        return shlex.join([*words, "--dtype", subject.dtype, *self.options])

    def summary(self) -> str:
        """The last line."""
        known = f"{self.expected} cases failed as expected" if self.expected else "none failed"
        return f"{self.passed} checks passed, {self.skipped} do not apply, {known}"


def _line(outcomes: list[Outcome], reasons: set[str]) -> str:
    counts = {status: sum(o.status is status for o in outcomes) for status in CheckStatus}
    if n_failed := counts[CheckStatus.FAILED]:
        why = f", expected: {'; '.join(sorted(reasons))}" if reasons else ""
        return f"FAILED  on {n_failed} of {len(outcomes)} cases{why}"
    if not counts[CheckStatus.PASSED]:
        return f"skipped {outcomes[0].message}"
    ratio = max(outcome.ratio for outcome in outcomes)
    line = f"passed  {counts[CheckStatus.PASSED]} cases, largest error {ratio:.2g} of its bound"
    if counts[CheckStatus.SKIPPED]:
        words = sorted({o.message for o in outcomes if o.status is CheckStatus.SKIPPED})
        line += f"; {counts[CheckStatus.SKIPPED]} skipped ({'; '.join(words)})"
    return line
