"""`loptbench zoo`."""

import math
import sys

import click

from loptbench.cli.options import jobs_option
from loptbench.progress import progress
from loptbench.results.schema.verdicts import EvidenceKind
from loptbench.tasks import TASKS
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped, shipped_path
from loptbench.zoo.catalogue import zoo as all_members
from loptbench.zoo.verification import Verification
from loptbench.zoo.verification import verify as verify_members


@click.group()
def zoo() -> None:
    """The learned optimizers that are shipped: list them, or evaluate them again."""


@zoo.command("list")
def list_() -> None:
    """Each learned optimizer of the zoo, with what its file records."""
    import pandas as pd

    from loptbench.cli.tables import print_table

    rows = []
    for member in all_members():
        checkpoint = shipped(member.name)
        training = checkpoint.meta_training
        rows.append(
            {
                "name": member.name,
                "units": training["configuration"]["n_units"],
                "outer steps": training["log"][-1]["step"],
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
    help="What computes. [default: what meta-trained each; held-out problems of a task: what "
    "meta-trained the task's first]",
)
@jobs_option
def verify(task: tuple[str, ...], implementation: str | None, jobs: int) -> None:
    """Evaluate every learned optimizer of the zoo again, from its bytes.

    Fails if a learned optimizer does not validate as its file records. It is no failure if one
    does not beat the best tuned baseline: such a seed stays in the zoo and counts.
    """
    from loptbench.engines.choice import make_engine

    members = [member for member in all_members() if not task or member.task in task]
    click.echo(f"{'name':28} validation (recorded)    held out  ratio to the best tuned baseline")
    verified: list[Verification] = []
    with progress("evaluating", len(members)) as report, make_engine(jobs=jobs) as engine:
        for verification in verify_members(members, load_tuned(), implementation, engine.map):
            verified.append(verification)
            report(len(verified), verification.member.name)
            click.echo(_line(verification))
    if verified:
        _summarize(verified)
    wrong = [seed.member.name for seed in verified if not seed.as_recorded]
    if wrong:
        click.echo(f"not as recorded: {', '.join(wrong)}")
        sys.exit(1)
    click.echo(f"all {len(verified)} validate as recorded")


def _summarize(verified: list[Verification]) -> None:
    """Print how many seeds beat the best tuned baseline, by all that they share."""
    import pandas as pd

    from loptbench.cli.tables import print_table

    rows = [
        {
            "task": verification.member.task,
            "preset": verification.member.preset,
            "architecture": verification.member.architecture,
            "seeds": str(EvidenceKind.of_seed(verification.member.seed)),
            "meta-trained in": verification.member.implementation,
            "best tuned baseline": verification.baseline,
            "better": verification.better,
        }
        for verification in verified
    ]
    shared = ["task", "preset", "architecture", "meta-trained in", "seeds"]
    groups = pd.DataFrame(rows).groupby(shared, sort=False)
    summary = groups.agg(
        baseline=("best tuned baseline", "first"),
        better=("better", "sum"),
        of=("better", "size"),
    )
    click.echo("\nseeds that beat the best tuned baseline")
    print_table(summary.reset_index())


def _line(verification: Verification) -> str:
    """One line on a learned optimizer, printed as soon as it is verified."""
    ratio, low, high = verification.ratio.value, verification.ratio.low, verification.ratio.high
    interval = f"[{low:.3f}, {high:.3f}]" if math.isfinite(low + high) else "no interval"
    ratio_text = f"{ratio:.3f}" if math.isfinite(ratio) else "not finite"
    outcome = "better" if verification.better else ""
    if verification.n_diverged:
        outcome = f"{verification.n_diverged} diverged"
    return (
        f"{verification.member.name:28} {verification.validation:10.4f}"
        f" ({verification.recorded:.4f}){'' if verification.as_recorded else ' NOT AS RECORDED'}"
        f"  {verification.objective:12.4f}  {ratio_text} {interval} {outcome}"
    )
