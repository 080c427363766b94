"""Time all probes of an optimizer beside the bare matrix products of the drive to adapted states.

The drive takes 2 T steps of all components under constant gradients. Of a GRU of n units each step
needs two products, (n_components, n) · (n, 2 n) for the gates and (n_components, n) · (n, n) for
the candidate: no drive in float64 can be faster than these.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np

from loptbench.mechanisms.adaptation import N_PER_ARM
from loptbench.optimizers import OptimizerSpec
from loptbench.storage.weights import Checkpoint
from loptbench.study.analyze import measure
from loptbench.study.resolve import resolve
from loptbench.tasks import get_task

DEFAULT_TASK = "quadratic"


@dataclasses.dataclass(frozen=True)
class AnalysisTime:
    """The time of an analysis.

    Attributes:
        optimizer: the optimizer, as it was named.
        task: the task of its runs.
        n_state: the number of its state variables.
        seconds: the median duration of all probes, the runs on the task included.
        products_seconds: the median duration of the bare products of the drive to adapted states;
            None if the optimizer is not a GRU.
    """

    optimizer: str
    task: str
    n_state: int
    seconds: float
    products_seconds: float | None


def analysis_time(optimizer: str, implementation: str, repeats: int) -> AnalysisTime:
    """Time an analysis after a small one, which loads what is needed.

    Args:
        optimizer: a checkpoint's name or file, or a baseline such as `sgd:alpha=0.1`.
        implementation: the implementation that computes it.
        repeats: the number of timings.

    Raises:
        LoptbenchError: the optimizer or the implementation is unknown, or fails.
    """
    resolved = resolve(optimizer)
    task = resolved.task if isinstance(resolved, Checkpoint) else DEFAULT_TASK
    spec = resolved.optimizer if isinstance(resolved, Checkpoint) else resolved
    measure(optimizer, task, implementation=implementation, n_problems=1, gradients=[-1.0, 1.0])
    seconds = _median(lambda: measure(optimizer, task, implementation=implementation), repeats)
    is_gru = isinstance(spec, OptimizerSpec) and spec.kind == "gru"
    n_state = spec.n_state if isinstance(spec, OptimizerSpec) else 0
    products = None
    if is_gru:
        n_steps = 2 * get_task(task).n_steps
        products = _median(lambda: _bare_products(2 * N_PER_ARM, n_state, n_steps), repeats)
    return AnalysisTime(optimizer, task, n_state, seconds, products)


def _bare_products(n_components: int, n_units: int, n_steps: int) -> None:
    h, gates = np.ones((n_components, n_units)), np.empty((n_components, 2 * n_units))
    W_gates, W_candidate = np.ones((n_units, 2 * n_units)), np.ones((n_units, n_units))
    candidate = np.empty_like(h)
    for _ in range(n_steps):
        np.matmul(h, W_gates, out=gates)
        np.matmul(h, W_candidate, out=candidate)


def _median(call: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
