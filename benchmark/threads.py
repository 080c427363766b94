"""Components in several threads: they are independent, and one thread leaves cores idle.

The threads of BLAS share one matrix product, which is short here: a second one saves little. Within
`component_threads`, BLAS has one thread, and each core has components of its own.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import pairwise
from typing import TypeVar

from threadpoolctl import threadpool_info, threadpool_limits

Result = TypeVar("Result")

MIN_MULTIPLICATIONS = 2**22
"""Multiplications below which one thread is as fast: some 0.5 ms, against 0.1 to start two."""

_pool: ContextVar[tuple[ThreadPoolExecutor, int] | None] = ContextVar("pool", default=None)


@contextlib.contextmanager
def component_threads() -> Iterator[None]:
    """Let `by_blocks` use as many threads as BLAS may, and BLAS one, for as long as this lasts."""
    allowed = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    n = min([len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count() or 1, *allowed])
    if n == 1 or _pool.get() is not None:
        yield
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n) as pool:
        token = _pool.set((pool, n))
        try:
            yield
        finally:
            _pool.reset(token)


def _has_affinity() -> bool:
    return hasattr(os, "sched_getaffinity")  # not on macOS


def by_blocks(
    function: Callable[[slice], Result], n_components: int, n_multiplications: int
) -> list[Result]:
    """The results of a function of some components, for blocks that cover all of them, in order.

    Args:
        function: called with the components of a block; at the same time in several threads
            within `component_threads`.
        n_components: the number of components.
        n_multiplications: how many multiplications they take together.

    Returns: one result for each block; a single one outside of `component_threads`.

    >>> by_blocks(lambda block: list(range(6)[block]), 6, 10**9)
    [[0, 1, 2, 3, 4, 5]]
    >>> with component_threads():
    ...     parts = by_blocks(lambda block: list(range(6)[block]), 6, 10**9)
    >>> sum(parts, [])
    [0, 1, 2, 3, 4, 5]
    """
    threads = _pool.get()
    if threads is None or n_multiplications < MIN_MULTIPLICATIONS or n_components < 2:
        return [function(slice(0, n_components))]
    pool, n = threads
    n = min(n, n_components)
    ends = [n_components * i // n for i in range(n + 1)]
    return list(pool.map(function, [slice(a, b) for a, b in pairwise(ends)]))
