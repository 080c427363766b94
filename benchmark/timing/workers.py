"""How long a study takes on more workers: a simulation, from how long each part of it takes."""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from loptbench.results.schema.keys import Role, TrialKind

if TYPE_CHECKING:
    from pandas import DataFrame


class Work(NamedTuple):
    """A trial: how long it takes, and those that can begin when it has ended.

    Attributes:
        seconds: its duration.
        then: the durations of the trials that need its record.
    """

    seconds: float
    then: tuple[float, ...] = ()


def work_of(timings: "DataFrame") -> list[Work]:
    """The trials of a store, in their order; evaluations wait for those of the baselines.

    Args:
        timings: the frame `timings` of a store.
    """
    waiting: dict[tuple[Any, Any], list[float]] = {}
    alone: list[tuple[float, tuple[Any, Any] | None]] = []
    for row in timings.itertuples():
        place = row.implementation, row.task
        if row.trial != TrialKind.EVALUATION:
            alone.append((row.seconds, None))
        elif row.role == Role.BASELINES:
            alone.append((row.seconds, place))
        else:
            waiting.setdefault(place, []).append(row.seconds)
    work = [
        Work(seconds, tuple(waiting.pop(place, ())) if place is not None else ())
        for seconds, place in alone
    ]
    return work + [Work(seconds) for group in waiting.values() for seconds in group]


def wall_time(work: Iterable[Work], workers: int) -> float:
    """The time until the last trial has ended, in seconds.

    A free worker takes the next trial, as `loptbench.engines` does: first those that need the
    record of one that has ended, then the others in their order.

    >>> wall_time([Work(3.0), Work(1.0, then=(4.0, 1.0))], workers=1)
    9.0
    >>> wall_time([Work(3.0), Work(1.0, then=(4.0, 1.0))], workers=2)
    5.0

    Args:
        work: the trials.
        workers: the number of workers.
    """
    ready = deque(work)
    running: list[tuple[float, int, Work]] = []  # by when each ends
    now, number = 0.0, 0
    while ready or running:
        while ready and len(running) < workers:
            begun = ready.popleft()
            heapq.heappush(running, (now + begun.seconds, number, begun))
            number += 1
        now, _, ended = heapq.heappop(running)
        ready.extendleft(Work(seconds) for seconds in reversed(ended.then))
    return now


def longest_way(work: Iterable[Work]) -> float:
    """The time that no number of workers shortens: the longest trial, with the one it waits for.

    >>> longest_way([Work(3.0), Work(1.0, then=(4.0, 1.0))])
    5.0
    """
    return max((each.seconds + max(each.then, default=0.0) for each in work), default=0.0)


def by_workers(
    work: Sequence[Work], workers: Sequence[int], making: Sequence[Work] = ()
) -> "DataFrame":
    """How long a study takes on so many workers.

    Args:
        work: its trials.
        workers: numbers of workers.
        making: what is made before the first trial begins: meta-trainings and searches.

    Returns: a row for each number of workers, with these columns:
        workers: their number.
        making: the time until everything is made.
        seconds: the time until the last trial has ended.
        speedup: the time on one worker over it.
        busy: the mean share of that time in which a worker works.
    """
    import pandas as pd

    alone = wall_time(making, 1) + wall_time(work, 1)
    rows = []
    for n in workers:
        made = wall_time(making, n)
        seconds = made + wall_time(work, n)
        rows.append(
            {
                "workers": n,
                "making": made,
                "seconds": seconds,
                "speedup": alone / seconds if seconds else 1.0,
                "busy": alone / (n * seconds) if seconds else 1.0,
            }
        )
    return pd.DataFrame(rows)
