"""`loptbench check`."""

import sys
import traceback
from itertools import groupby

import click

from loptbench.cli.options import DTYPES, device_option, mnist_option
from loptbench.conformance import CHECKS, CheckStatus, Outcome
from loptbench.conformance.checking import check as check_implementation
from loptbench.discovery import get_implementation
from loptbench.errors import BrokenImplementationError, ContractError, LoptbenchError


@click.command()
@click.argument("name")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([c.name for c in CHECKS]),
    help="Run only this check.",
)
@click.option("--dtype", multiple=True, type=click.Choice(DTYPES), help="Run only in this dtype.")
@click.option(
    "--seed",
    default=7,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of problems and optimizers.",
)
@mnist_option
@device_option
@click.option("--all", "all_", is_flag=True, help="Go on after the first failure.")
def check(
    name: str,
    only: tuple[str, ...],
    dtype: tuple[str, ...],
    seed: int,
    device: str,
    all_: bool,
) -> None:
    """Check an implementation, cheapest first, stopping at the first cause.

    NAME is one that `loptbench list` knows, or package.module:Object.
    """
    try:
        implementation = get_implementation(name)
    except (BrokenImplementationError, ContractError) as error:
        click.echo(f"import                     FAILED  {error}")
        if error.__cause__ is not None:
            click.echo("".join(traceback.format_exception(error.__cause__)), nl=False)
        sys.exit(1)
    click.echo(f"import                     passed  {implementation.name} [{name}]")
    failed = passed = skipped = 0
    outcomes = check_implementation(
        implementation, seed=seed, only=only, dtypes=dtype or None, device=device
    )
    for checked, group in groupby(outcomes, key=lambda outcome: outcome.check):
        ended: list[Outcome] = []
        for outcome in group:
            ended.append(outcome)
            if outcome.status is CheckStatus.FAILED:
                failed += 1
                if not all_:
                    break
        click.echo(f"{checked.name:26} {_line(ended)}")
        passed += any(outcome.status is CheckStatus.PASSED for outcome in ended)
        skipped += all(outcome.status is CheckStatus.SKIPPED for outcome in ended)
        for outcome in ended:
            if outcome.status is CheckStatus.FAILED:
                click.echo(f"    {outcome.message}")
                click.echo(f"    wanted: {checked.means}")
                click.echo(
                    f"    repeat: loptbench check {name} --only {checked.name} --seed {seed} "
                    f"--device {device}"
                )
        if failed and not all_:
            click.echo(
                "stopped at the first failure; the checks after it were not run (--all runs them)"
            )
            break
    if failed:
        sys.exit(1)
    if not passed:
        raise LoptbenchError(
            f"nothing was checked: of what {name} offers, nothing is left by --only and --dtype"
        )
    click.echo(f"{passed} checks passed, {skipped} do not apply, none failed")
    for unchecked in sorted(set(implementation.devices) - {device}):
        click.echo(f"device {unchecked} was not checked: --device {unchecked} does that")


def _line(outcomes: list[Outcome]) -> str:
    counts = {status: sum(o.status is status for o in outcomes) for status in CheckStatus}
    if counts[CheckStatus.FAILED]:
        return f"FAILED  on {counts[CheckStatus.FAILED]} of {len(outcomes)} cases"
    if not counts[CheckStatus.PASSED]:
        return f"skipped {outcomes[0].message}"
    ratio = max(outcome.ratio for outcome in outcomes)
    line = f"passed  {counts[CheckStatus.PASSED]} cases, largest error {ratio:.2g} of its bound"
    if counts[CheckStatus.SKIPPED]:
        reasons = sorted({o.message for o in outcomes if o.status is CheckStatus.SKIPPED})
        line += f"; {counts[CheckStatus.SKIPPED]} skipped ({'; '.join(reasons)})"
    return line
