"""Where every random number of every task comes from.

Philox is a counter-based generator: a 128-bit key chooses a stream, a 256-bit counter a place in
it. The key is made of the task, the split and the seed; the problem's index is the counter's
highest word. Two problems therefore never share a number: the streams of two splits have different
keys, and two indices lie 2^192 blocks apart. Problem 7 is the same whether it is drawn alone or in
a batch, and no framework ever draws one.
"""

import hashlib

import numpy as np

from loptbench.errors import LoptbenchError, UnknownNameError

SPLITS = ("meta_train", "validate", "tune", "evaluate")
"""`meta_train` trains learned optimizers and `validate` chooses the checkpoint to keep; `tune`
chooses the hyperparameters of the baselines; `evaluate` is what is reported."""


def generator(task: str, split: str, seed: int, index: int) -> np.random.Generator:
    """The generator that draws problem `index` of `split`.

    Args:
        task: the task's name.
        split: one of `SPLITS`.
        seed: the stream's seed, 0 ≤ seed < 2^64.
        index: the problem's number in the stream, 0 ≤ index < 2^64.

    Raises:
        LoptbenchError: the split is unknown, or the seed or index is out of range.
    """
    if split not in SPLITS:
        raise UnknownNameError("split", split, list(SPLITS))
    for what, number in (("seed", seed), ("index", index)):
        if not 0 <= number < 2**64:
            raise LoptbenchError(f"a {what} must lie in [0, 2^64), but it is {number}")
    stream = hashlib.sha256(f"{task}/{split}".encode()).digest()
    key = np.array([int.from_bytes(stream[:8], "little"), seed], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
