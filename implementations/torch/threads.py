"""As many threads as the work is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

MIN_NUMBERS = 2**15
"""Numbers in the state of all components below which one thread is as fast as several.

It is the size from which PyTorch shares element-wise operations among threads. Below it only matrix
products are shared. With two threads an outer step on `quadratic` with 64 units took 1.7 times as
long as with one, and beside a busy process 2.5 times. An exception on two cores: `rosenbrock` with
128 units, where two threads took 0.8 of the time.
"""


@contextmanager
def threads_for(n_numbers: int) -> Iterator[None]:
    """One thread for states of fewer than `MIN_NUMBERS` numbers, else as many as PyTorch has."""
    n = torch.get_num_threads()
    if n == 1 or n_numbers >= MIN_NUMBERS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n)
