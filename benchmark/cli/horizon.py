"""`loptbench horizon`."""

from pathlib import Path

import click

from loptbench.cli.completion import complete_implementation, complete_task
from loptbench.cli.options import refuse_options

OF_MEASURING = ("preset", "architecture", "multiple", "problems", "implementation", "tuned")


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-horizon.html"),
    show_default=True,
    help="The page to write; a name that ends in .csv is a table instead.",
)
@click.option(
    "--task", shell_complete=complete_task, multiple=True, help="Repeatable. [default: all]"
)
@click.option(
    "--preset",
    multiple=True,
    default=("quick", "standard"),
    show_default=True,
    help="Run these learned optimizers. Repeatable.",
)
@click.option("--architecture", default="gru", show_default=True, help="Those of this one.")
@click.option(
    "--multiple",
    type=click.IntRange(1),
    multiple=True,
    default=(1, 2, 5, 10),
    show_default=True,
    help="Length of a run, over that of meta-training. Repeatable.",
)
@click.option(
    "--problems",
    type=click.IntRange(2),
    default=None,
    help="Held-out problems. [default: 128; of the networks, 16]",
)
@click.option(
    "--implementation",
    shell_complete=complete_implementation,
    default="jax",
    show_default=True,
    help="What computes it.",
)
@click.option(
    "--tuned",
    type=click.Path(path_type=Path),
    default=None,
    help="The tuned baselines. [default: the shipped ones]",
)
@click.option("--shipped", is_flag=True, help="Write the shipped results; measure nothing.")
@click.pass_context
def horizon(
    context: click.Context,
    output: Path,
    task: tuple[str, ...],
    preset: tuple[str, ...],
    architecture: str,
    multiple: tuple[int, ...],
    problems: int | None,
    implementation: str,
    tuned: Path | None,
    shipped: bool,
) -> None:
    """Run learned optimizers longer than they were trained for, beside tuned baselines.

    Seeds that are kept for confirmation are left out. Takes some minutes.
    """
    from loptbench.errors import LoptbenchError
    from loptbench.horizon import measure, members
    from loptbench.horizon import shipped as shipped_table
    from loptbench.reports.horizon import write
    from loptbench.storage.files import require_writable
    from loptbench.tasks import SHIPPED, get_task
    from loptbench.tuning.tuned_file import load_tuned

    require_writable(output)
    if shipped:
        refuse_options(context, OF_MEASURING, "does not go with --shipped, which measures nothing")
        names = [get_task(name).name for name in task or SHIPPED]
        table = shipped_table()
        table = table[table["task"].isin(names)]
        if table.empty:
            raise LoptbenchError(f"nothing is shipped of {', '.join(names)}")
    else:
        chosen = members(task, preset, architecture)
        if not chosen:
            raise LoptbenchError(
                f"the zoo has no {architecture} of {' or '.join(task) or 'any task'} with the "
                f"preset {' or '.join(preset)} and a seed that is not kept for confirmation"
            )
        table = measure(
            chosen,
            multiples=multiple,
            implementation=implementation,
            n_problems=problems,
            tuned=load_tuned(tuned),
            report=lambda name: click.echo(name, err=True),
        )
    click.echo(write(table, output))
