"""`loptbench zoo`."""

import math
import sys
from itertools import groupby

import click

from loptbench.progress import progress
from loptbench.tasks import TASKS
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import Member, shipped, shipped_path
from loptbench.zoo.catalogue import zoo as all_members
from loptbench.zoo.verification import Verification
from loptbench.zoo.verification import verify as verify_members


@click.group()
def zoo() -> None:
    """The learned optimizers that are shipped: list them, or evaluate them again."""


@zoo.command("list")
def list_() -> None:
    """Each learned optimizer of the zoo, and what its file says of it."""
    import pandas as pd

    from loptbench.cli.tables import print_table

    rows = []
    for member in all_members():
        checkpoint = shipped(member.name)
        training = checkpoint.meta_training
        rows.append(
            {
                "name": member.name,
                "units": checkpoint.optimizer.n_state,
                "outer steps": training["configuration"]["n_outer_steps"],
                "best at": training["best_outer_step"],
                "skipped": training["skipped_outer_steps"],
                "validation": training["best_validation"],
                "size (kB)": shipped_path(member.name).stat().st_size / 1000,
                "sha256": checkpoint.sha256[:12],
            }
        )
    table = pd.DataFrame(rows)
    print_table(table, {"validation": ".4f", "size (kB)": ".0f"})
    click.echo(f"{table['size (kB)'].sum() / 1000:.1f} MB in all")


@zoo.command()
@click.option("--task", multiple=True, type=click.Choice(list(TASKS)), help="Only of this task.")
@click.option(
    "--implementation",
    default=None,
    help="What computes. [default: what meta-trained each]",
)
def verify(task: tuple[str, ...], implementation: str | None) -> None:
    """Evaluate every learned optimizer of the zoo again, from its bytes.

    Fails if one does not validate as its file says. That one does not beat the best tuned baseline
    is no failure: it stays in the zoo, and counts.
    """
    members = [member for member in all_members() if not task or member.task in task]
    click.echo(f"{'name':28} validation (recorded)    held out  ratio to the best tuned baseline")
    found: list[Verification] = []
    with progress("evaluating", len(members)) as report:
        for one in verify_members(members, load_tuned(), implementation):
            found.append(one)
            report(len(found), one.member.name)
            click.echo(_line(one))
    for (task_name, preset, trained_in), group in groupby(found, key=lambda one: _kin(one.member)):
        seeds = list(group)
        better = sum(one.better for one in seeds)
        click.echo(
            f"{task_name}, {preset}, meta-trained in {trained_in}: {better} of {len(seeds)} seeds "
            f"beat the best tuned baseline, {seeds[0].baseline}"
        )
    wrong = [one.member.name for one in found if not one.as_recorded]
    if wrong:
        click.echo(f"not as recorded: {', '.join(wrong)}")
        sys.exit(1)
    click.echo(f"all {len(found)} validate as recorded")


def _kin(member: Member) -> tuple[str, str, str]:
    return member.task, member.preset, member.implementation


def _line(one: Verification) -> str:
    low, high = one.ratio.low, one.ratio.high
    interval = f"[{low:.3f}, {high:.3f}]" if math.isfinite(low + high) else "no interval"
    ratio = f"{one.ratio.ratio:.3f}" if math.isfinite(one.ratio.ratio) else "not finite"
    said = f"{one.n_diverged} diverged" if one.n_diverged else "better" if one.better else ""
    return (
        f"{one.member.name:28} {one.validation:10.4f} ({one.recorded:.4f})"
        f"{'' if one.as_recorded else ' NOT AS RECORDED'}  {one.objective:12.4f}"
        f"  {ratio} {interval} {said}"
    )
