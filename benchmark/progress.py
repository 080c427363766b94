"""Progress reporting: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

Report = Callable[[int, str], None]
"""Called with the number of units done so far, and a few words on the last one."""

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_LOOKS = 0.5


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


def say_done(title: str, total: int) -> None:
    """Say that work which was asked for had been done before.

    Args:
        title: the name of the work.
        total: the number of units.
    """
    with progress(title, total) as report:
        report(total, "done already")


class Together:
    """The progress of several pieces of work as one.

    >>> together = Together(print)
    >>> together.of("a")(3, "goes on")
    3 a: goes on
    >>> together.of("b")(1, "begins")
    4 b: begins
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._done: dict[str, int] = {}

    def of(self, name: str) -> Report:
        """The report of the piece of work with that name."""

        def report(done: int, words: str) -> None:
            self._done[name] = done
            self._report(sum(self._done.values()), f"{name}: {words}")

        return report


class Status(NamedTuple):
    """How far work is that other processes do.

    Attributes:
        done: the number of units that have ended.
        total: the number of units.
        seconds_left: an estimate of the time that the others will take.
        running: what runs now, in words, a line for each process.
        news: sentences to print once, such as failures since the last look.
    """

    done: int
    total: int
    seconds_left: float
    running: Sequence[str] = ()
    news: Sequence[str] = ()


def duration(seconds: float) -> str:
    """A duration in words, as exact as an estimate is.

    >>> duration(4), duration(50), duration(200), duration(5000)
    ('a few seconds', '50 s', '3 min', '1 h 23 min')
    """
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"{10 * round(seconds / 10)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain_line(title: str, status: Status) -> str:
    """A status in one line.

    >>> plain_line("run", Status(3, 9, 200.0, ["a on b"]))
    'run: 3/9, about 3 min left; now: a on b'
    """
    line = f"{title}: {status.done}/{status.total}"
    if status.done < status.total:
        line += f", about {duration(status.seconds_left)} left"
    return f"{line}; now: {'; '.join(status.running)}" if status.running else line


@contextlib.contextmanager
def watching(title: str, look: Callable[[], Status]) -> Iterator[Callable[[str], None]]:
    """Show on standard error how far work is, also while nothing ends, until the block ends.

    On a terminal, a bar, the time left, and what runs now; elsewhere, a line in ten seconds. News
    are printed at once.

    Args:
        title: the name of the work.
        look: says how far it is; it is called from a thread, twice a second.

    Yields: a function that prints a line above the bar.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    def look_and_tell() -> Status:
        status = look()
        for line in status.news:
            say(line)
        return status

    if console.is_terminal:
        with Live(
            get_renderable=lambda: _bar(title, look_and_tell()),
            console=console,
            refresh_per_second=1 / SECONDS_BETWEEN_LOOKS,
        ):
            yield say
        return

    ended = threading.Event()
    told = ""

    def tell(status: Status) -> None:
        nonlocal told
        line = plain_line(title, status)
        if line != told:
            say(line)
        told = line

    def watch() -> None:
        next_line = time.monotonic()
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            status = look_and_tell()
            if time.monotonic() >= next_line:
                tell(status)
                next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    thread = threading.Thread(target=watch, name=f"progress of {title}", daemon=True)
    thread.start()
    try:
        yield say
    finally:
        ended.set()
        thread.join()
        tell(look_and_tell())


def _bar(title: str, status: Status) -> RenderableType:
    left = f"about {duration(status.seconds_left)} left" if status.done < status.total else ""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(left, markup=False),
    )
    bar.add_task(title, total=status.total, completed=status.done)
    lines = [
        Text(f"  now: {words}", "dim", overflow="ellipsis", no_wrap=True)
        for words in status.running
    ]
    return Group(bar.get_renderable(), *lines)
