"""Time the tuner beside the plain loop over `torch.optim`, in the same process.

Throughput is draws · problems · steps per second. The two are timed in turn, several times, and
medians are compared; compilation is timed apart.
"""

import dataclasses
import functools
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loptbench.importing import import_object
from loptbench.tasks import Task
from loptbench.tuning.ranges import RANGES
from loptbench.tuning.search import DrawRunner, block_size, default_settings
from loptbench.tuning.tuned_file import TunedBaseline

PLAIN = "loptbench.implementations.torch.plain_loop:run"
REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Throughput:
    """The speed of one sweep.

    Attributes:
        implementation: the implementation that computed it.
        task: the task.
        kind: the baseline.
        n_draws: draws side by side in a block.
        n_problems: problems of each draw.
        first_seconds: the first call, compilation included.
        per_second: draws · problems · steps per second, median.
        plain_per_second: the same for the plain loop, median.
    """

    implementation: str
    task: str
    kind: str
    n_draws: int
    n_problems: int
    first_seconds: float
    per_second: float
    plain_per_second: float

    @property
    def ratio(self) -> float:
        """The throughput over that of the plain loop."""
        return self.per_second / self.plain_per_second


def tuning_throughput(
    implementations: Iterable[Any], task: Task, entry: TunedBaseline, repeats: int = REPEATS
) -> Iterator[Throughput]:
    """Time the tuner on a block of draws near the tuned one, without dropping any.

    Args:
        implementations: the implementations to time.
        task: the task.
        entry: its tuned baseline.
        repeats: the number of timings of each.
    """
    settings = dataclasses.replace(default_settings(task.name), drop_early=False)
    n_draws = block_size(task, settings)
    place = np.array(
        [RANGES[entry.kind][name].place(v) for name, v in entry.hyperparameters.items()]
    )
    # Slightly slower rates than the tuned one, so that no run blows up and leaves the block.
    places = np.tile(place, (n_draws, 1))
    places[:, 0] -= np.linspace(0.02, 0.1, n_draws)
    plain = import_object(PLAIN)
    batch = task.sample("tune", settings.seed, [0])
    # On a network a few steps of the plain loop are enough: each takes as long as the first.
    n_steps = task.n_steps if task.name in ("quadratic", "rosenbrock") else 20
    work = n_draws * settings.n_problems * task.n_steps
    plain(entry.spec, batch, n_steps)
    for implementation in implementations:
        runner = DrawRunner(implementation, task, entry.kind, settings, settings.dtype)
        sweep = functools.partial(runner.run, places, np.inf)
        first = seconds(sweep)
        tuner_speeds, plain_speeds = [], []
        for _ in range(repeats):
            plain_speeds.append(n_steps / seconds(lambda: plain(entry.spec, batch, n_steps)))
            tuner_speeds.append(work / seconds(sweep))
        yield Throughput(
            implementation.name,
            task.name,
            entry.kind,
            n_draws,
            settings.n_problems,
            first,
            float(np.median(tuner_speeds)),
            float(np.median(plain_speeds)),
        )


def seconds(call: Callable[[], object]) -> float:
    """Wall time of a call, in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_memory() -> float:
    """The largest memory that this process has held so far, in GiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux a child inherits ru_maxrss from its parent, so it may be another process's.
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        if peak:
            return int(peak[1]) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
