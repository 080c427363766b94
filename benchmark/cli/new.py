"""`loptbench new`."""

import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

import click

from loptbench.errors import LoptbenchError

KINDS = {
    "implementation": "loptbench check {name}:{Class}",
    "task": "loptbench check reference --task {name}:{Class}",
    "adapter": "loptbench analyze {name}:{Class}",
    "architecture": "pytest test_{name}.py",
}
"""What can be written, and what to call next."""


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current one",
    help="Where to write the files.",
)
def new(kind: str, name: str, folder: Path) -> None:
    """Write a skeleton, NAME.py, and its test, test_NAME.py.

    It runs as it is. TODO marks what is to be replaced, and the test skips what is still to be
    written. NAME is the name of a module, such as my_task.
    """
    paths = write_skeleton(kind, name, folder)
    for path in paths:
        click.echo(path)
    click.echo(f"next: {KINDS[kind].format(name=name, Class=class_name(name))}")


def write_skeleton(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a skeleton and its test.

    Args:
        kind: one of `KINDS`.
        name: the name of the module.
        folder: the folder; it must exist.

    Raises:
        LoptbenchError: the name is no name of a module or is taken, or a file exists or cannot be
            written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise LoptbenchError(
            f"{name!r} is no name of a module: give lower-case letters, digits and _, such as "
            f"my_{kind}"
        )
    paths = [folder / f"{name}.py", folder / f"test_{name}.py"]
    for path in paths:
        if path.exists():
            raise LoptbenchError(f"{path} exists and is not overwritten; give another name")
    if importlib.util.find_spec(name) is not None:
        raise LoptbenchError(f"there is a module {name!r} already; give another name")
    names = {"name": name, "NAME": name.upper(), "Class": class_name(name)}
    for path, file in zip(paths, (f"{kind}.py.txt", f"test_{kind}.py.txt"), strict=True):
        source = resources.files("loptbench.cli") / "skeletons" / file
        try:
            path.write_text(Template(source.read_text(encoding="utf-8")).substitute(names), "utf-8")
        except OSError as error:
            raise LoptbenchError(
                f"cannot write {path}: {error.strerror}; choose a folder that exists and is "
                "writable"
            ) from error
    return paths


def class_name(name: str) -> str:
    """The name of the class in a module.

    >>> class_name("my_task")
    'MyTask'
    """
    return "".join(part.capitalize() for part in name.split("_"))
