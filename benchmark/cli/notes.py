"""Notes of a command: what an adapter leaves out."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def adapter_notes() -> Iterator[None]:
    """Print each thing that an adapter leaves out as a note, once; other warnings as always."""
    from loptbench.adapters import AdapterWarning

    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", AdapterWarning)
        show = warnings.showwarning

        def note(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, AdapterWarning):
                show(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                click.echo(f"note: {message}", err=True)

        warnings.showwarning = note
        yield
