"""What a run does now: what runs, what failed, and how long the rest will take."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from loptbench.progress import Status
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.records import TrialStatus
from loptbench.study.estimates import Estimates

LONGEST_MESSAGE = 300
"""Characters of a failure's message that are shown during a run. The end of the run shows all."""

OVERRUN = 0.25
"""A trial that takes longer than estimated is assumed to take this share of its time more."""


class Running(NamedTuple):
    """A trial that runs, and since when, in seconds of the clock."""

    key: TrialKey
    since: float


class Monitor:
    """Is told what begins and ends, and says how far a run is.

    Args:
        clock: a clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.n_side_by_side = 1
        self.waiting: dict[str, TrialKey] = {}
        self.running: dict[str, Running] = {}
        self.total = 0
        self.estimates = Estimates()
        self._news: list[str] = []
        self._lock = threading.Lock()  # a thread looks while others tell

    def begin(self, keys: Iterable[TrialKey], n_there: int) -> None:
        """These trials are to be run; so many others have a record already."""
        with self._lock:
            self.waiting = {key.name: key for key in keys}
            self.total = n_there + len(self.waiting)

    def began(self, key: TrialKey) -> None:
        """A trial begins, perhaps again, after its worker was lost."""
        with self._lock:
            self.waiting.pop(key.name, None)
            self.running[key.name] = Running(key, self.clock())
            self.n_side_by_side = max(self.n_side_by_side, len(self.running))

    def ended(self, key: TrialKey, status: TrialStatus, message: str) -> None:
        """A trial has ended."""
        with self._lock:
            since = self.running.pop(key.name).since
            self.estimates.observe(key, self.clock() - since)
            if status == TrialStatus.FAILED:
                first_line = message[:LONGEST_MESSAGE].partition("\n")[0]
                self._news.append(f"failed: {key}, {key.dtype}: {first_line}")

    def look(self) -> Status:
        """How far the run is now; each failure is news once."""
        with self._lock:
            news, self._news = self._news, []
            n_done = self.total - len(self.waiting) - len(self.running)
            words = [str(running.key) for running in self.running.values()]
            return Status(n_done, self.total, self._seconds_left(), words, news)

    def _seconds_left(self) -> float:
        now = self.clock()
        rests = [
            max(self.estimates.seconds(key) - (now - since), OVERRUN * (now - since))
            for key, since in self.running.values()
        ]
        waiting = sum(map(self.estimates.seconds, self.waiting.values()))
        return max((sum(rests) + waiting) / self.n_side_by_side, max(rests, default=0.0))
