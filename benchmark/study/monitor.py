"""What the processes of a run do now: they tell it in a folder, and the caller reads it."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from loptbench.progress import Status
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.records import TrialStatus
from loptbench.study.estimates import Estimates

LONGEST_MESSAGE = 300
"""Characters of a failure's message that are shown during a run. The end of the run shows all."""

OVERRUN = 0.25
"""A trial that takes longer than estimated is assumed to take this share of its time more."""


class Journal:
    """The folder in which each process tells the trials that it begins and ends.

    Each process has a file of its own, to which it only adds.

    Args:
        folder: the folder; None to tell nobody.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def began(self, key: TrialKey) -> None:
        """A trial begins in this process."""
        self._tell(key, "", "")

    def ended(self, key: TrialKey, status: TrialStatus, message: str) -> None:
        """A trial has ended in this process."""
        self._tell(key, str(status), message)

    def _tell(self, key: TrialKey, status: str, message: str) -> None:
        if self.folder is not None:
            line = json.dumps([key.name, status, message[:LONGEST_MESSAGE]])
            with (self.folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
                file.write(line + "\n")


class Running(NamedTuple):
    """A trial that runs, and since when, in seconds of the clock."""

    key: TrialKey
    since: float


class Monitor:
    """Reads a journal: how far a run is, what runs, and how long the rest will take.

    Args:
        journal: the journal.
        jobs: the number of processes.
        clock: a clock, in seconds.
    """

    def __init__(
        self,
        journal: Journal,
        jobs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.journal, self.jobs, self.clock = journal, jobs, clock
        self.waiting: dict[str, TrialKey] = {}
        self.running: dict[Path, Running] = {}
        self.total = 0
        self.estimates = Estimates()
        self._read: dict[Path, int] = {}

    def begin(self, keys: Iterable[TrialKey], n_there: int) -> None:
        """These trials are to be run; so many others have a record already."""
        waiting = {key.name: key for key in keys}
        self.total = n_there + len(waiting)
        self.waiting = waiting

    def look(self) -> Status:
        """How far the run is now; each failure is news once."""
        news: list[str] = []
        folder = self.journal.folder
        for path in sorted(folder.glob("*.jsonl")) if folder else []:
            lines = path.read_text("utf-8").split("\n")[:-1]  # the last one may not be whole
            for line in lines[self._read.get(path, 0) :]:
                news += self._event(path, *json.loads(line))
            self._read[path] = len(lines)
        n_done = self.total - len(self.waiting) - len(self.running)
        words = [str(running.key) for running in self.running.values()]
        return Status(n_done, self.total, self._seconds_left(), words, news)

    def _event(self, process: Path, name: str, status: str, message: str) -> list[str]:
        now = self.clock()
        if not status:
            self.running[process] = Running(self.waiting.pop(name), now)
            return []
        ended = self.running.pop(process)
        self.estimates.observe(ended.key, now - ended.since)
        if status == TrialStatus.FAILED:
            first_line, _, _ = message.partition("\n")
            return [f"failed: {ended.key}, {ended.key.dtype}: {first_line}"]
        return []

    def _seconds_left(self) -> float:
        now = self.clock()
        rests = [
            max(self.estimates.seconds(key) - (now - since), OVERRUN * (now - since))
            for key, since in self.running.values()
        ]
        waiting = sum(map(self.estimates.seconds, self.waiting.values()))
        return max((sum(rests) + waiting) / self.jobs, max(rests, default=0.0))
