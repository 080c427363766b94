"""Time how quickly commands start, as whole processes beside `python -c "import numpy"`."""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

COMMANDS = ("--help", "list", "info")
REFERENCE = ("-c", "import numpy")


@dataclasses.dataclass(frozen=True)
class StartTime:
    """The time that a command takes, beside the reference.

    Attributes:
        command: the arguments of `loptbench`.
        seconds: the median duration of the process.
        reference_seconds: the median duration of `python -c "import numpy"`.
    """

    command: str
    seconds: float
    reference_seconds: float

    @property
    def ratio(self) -> float:
        """Duration in units of the reference.

        >>> StartTime("list", 0.6, 0.15).ratio
        4.0
        """
        return self.seconds / self.reference_seconds


def start_times(repeats: int, commands: Sequence[str] = COMMANDS) -> list[StartTime]:
    """Run each command and the reference in turn, `repeats` times each.

    Raises:
        subprocess.CalledProcessError: a command fails.
    """
    calls = {command: ("-m", "loptbench", command) for command in commands}
    seconds: dict[str, list[float]] = {name: [] for name in ("reference", *calls)}
    for _ in range(repeats):
        for name, arguments in {"reference": REFERENCE, **calls}.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return [StartTime(name, medians[name], medians["reference"]) for name in calls]
