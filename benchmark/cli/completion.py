"""What the shell offers for names of tasks, implementations and optimizers."""

from collections.abc import Callable, Iterable

import click

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def _completion(names: Callable[[], Iterable[str]]) -> Completion:
    """Those of the names that begin with what has been typed."""

    def matching(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
        return [name for name in names() if name.startswith(typed)]

    return matching


def _tasks() -> Iterable[str]:
    from loptbench.tasks import task_names

    return task_names()


def _implementations() -> Iterable[str]:
    from loptbench.discovery import discover_declarations

    return [entry.name for entry in discover_declarations()]


def _checkpoints() -> Iterable[str]:
    from loptbench.zoo.catalogue import names

    return names()


complete_task = _completion(_tasks)
complete_implementation = _completion(_implementations)
complete_checkpoint = _completion(_checkpoints)
