"""Progress reporting: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Report = Callable[[int, str], None]
"""Called with the number of units done so far, and a few words on the last one."""

SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress(title: str, total: int, every_line: bool = False) -> Iterator[Report]:
    """Show progress of `total` units on standard error.

    Args:
        title: the name of the work.
        total: the number of units.
        every_line: without a terminal, print a line for every report, not one in ten seconds.

    Yields: the function to call after each unit.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total, words="")
            yield lambda done, words: bar.update(task, completed=done, words=words)
        return

    last = -SECONDS_BETWEEN_LINES

    def report(done: int, words: str) -> None:
        nonlocal last
        now = time.monotonic()
        if every_line or done >= total or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"{title}: {done}/{total} {words}", file=sys.stderr, flush=True)

    yield report
