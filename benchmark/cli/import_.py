"""`loptbench import`."""

from pathlib import Path

import click

from loptbench.cli.completion import complete_task


@click.group("import")
def import_() -> None:
    """Read somebody else's learned optimizer, and write it as a checkpoint."""


@import_.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--task",
    shell_complete=complete_task,
    default="quadratic",
    show_default=True,
    help="The task that it was meta-trained on; the files do not say.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=None,
    help="The checkpoint to write. [default: the folder's name, with .safetensors]",
)
def renn(folder: Path, task: str, output: Path | None) -> None:
    """Read DIR, which the paper's authors' library renn wrote: config.yml and theta.bin.

    No code in the files is run.
    """
    from loptbench.storage.renn import load_renn
    from loptbench.storage.weights import refuse_to_overwrite, save_checkpoint
    from loptbench.tasks import get_task

    name = get_task(task).name
    target = output or Path(f"{folder.resolve().name or 'renn'}.safetensors")
    refuse_to_overwrite(target)
    checkpoint = load_renn(folder, name)
    save_checkpoint(checkpoint, target)
    click.echo(
        f"{checkpoint.optimizer.n_state} units, task {name}; look inside with "
        f"'loptbench analyze {target}', evaluate with 'loptbench run --checkpoint {target}'",
        err=True,
    )
    click.echo(target)
