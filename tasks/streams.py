"""The random numbers of all tasks.

Philox is a counter-based generator: a 128-bit key selects a stream, and a 256-bit counter a
position in it. Here the key consists of the task, the split and the seed, and the highest word of
the counter is the problem's index. So two problems never share a number: two splits have different
keys, and two indices are 2^192 blocks apart. Problem 7 is the same whether it is drawn alone or in
a batch, and no framework draws random numbers.
"""

import hashlib

import numpy as np

from loptbench.errors import LoptbenchError, UnknownNameError

SPLITS = ("meta_train", "validate", "tune", "evaluate")
"""`meta_train` trains learned optimizers, and `validate` selects the checkpoint to keep. `tune`
selects the hyperparameters of the baselines. Results are reported on `evaluate`."""


def generator(task: str, split: str, seed: int, index: int) -> np.random.Generator:
    """The generator that draws problem `index` of `split`.

    Args:
        task: the task's name.
        split: one of `SPLITS`.
        seed: the stream's seed, 0 ≤ seed < 2^64.
        index: the problem's index in the stream, 0 ≤ index < 2^64.

    Raises:
        LoptbenchError: the split is unknown, or the seed or index is out of range.

    >>> generator("quadratic", "tune", seed=0, index=7).random() < 1
    True
    """
    if split not in SPLITS:
        raise UnknownNameError("split", split, list(SPLITS))
    for label, number in (("seed", seed), ("index", index)):
        if not 0 <= number < 2**64:
            raise LoptbenchError(f"a {label} must lie in [0, 2^64), but it is {number}")
    stream = hashlib.sha256(f"{task}/{split}".encode()).digest()
    key = np.array([int.from_bytes(stream[:8], "little"), seed], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
