"""Learned optimizers that are kept for the confirmation of the claims.

Claims were written when optimizers with seeds below 10 had been seen. Whether they hold of others
can be found out once: a threshold that is moved afterwards is fitted to them. So the mechanisms of
optimizers with seeds from 10 on are measured only where a user says so, and the store records it.
Their losses are measured as those of all others.
"""

import datetime
import functools
from collections.abc import Mapping

from loptbench.errors import LoptbenchError
from loptbench.optimizers import OptimizerSpec
from loptbench.results.provenance import code_hash
from loptbench.results.schema.confirmation import Confirmation
from loptbench.results.schema.verdicts import FIRST_CONFIRMATORY_SEED, EvidenceKind
from loptbench.results.store import Store
from loptbench.storage.weights import Checkpoint, weights_hash
from loptbench.training.settings import recorded_configuration
from loptbench.zoo.catalogue import names, shipped


def is_kept(checkpoint: Checkpoint) -> bool:
    """Whether the mechanisms of a checkpoint are kept for the confirmation.

    >>> from loptbench.optimizers import random_gru
    >>> meta_training = {"configuration": {"seed": 10}}
    >>> is_kept(Checkpoint(random_gru(2, 0), "quadratic", meta_training))
    True
    """
    seed = recorded_configuration(checkpoint.meta_training).get("seed")
    known = seed if isinstance(seed, int) else None
    return EvidenceKind.of_seed(known) is EvidenceKind.CONFIRMATORY


def without_kept(checkpoints: Mapping[str, Checkpoint]) -> dict[str, Checkpoint]:
    """The checkpoints, by name, whose mechanisms may be looked at."""
    return {name: one for name, one in checkpoints.items() if not is_kept(one)}


@functools.cache
def _kept_weights() -> frozenset[str]:
    """The hashes of the weights of the zoo that are kept."""
    checkpoints = (shipped(name) for name in names())
    return frozenset(_hash(one.optimizer) for one in checkpoints if is_kept(one))


def _hash(optimizer: OptimizerSpec) -> str:
    return weights_hash(optimizer.rounded_to("float32"))


def require_not_kept(name: str, optimizer: Checkpoint | OptimizerSpec) -> None:
    """Refuse to look at the mechanisms of an optimizer that is kept for the confirmation.

    Args:
        name: its name, for the message.
        optimizer: a checkpoint, or an optimizer without one, which may be that of a checkpoint of
            the zoo.

    Raises:
        LoptbenchError: it is kept.
    """
    if isinstance(optimizer, Checkpoint):
        kept = is_kept(optimizer)
    else:
        kept = _hash(optimizer) in _kept_weights()
    if kept:
        raise LoptbenchError(
            f"{name} was meta-trained with a seed from {FIRST_CONFIRMATORY_SEED} on: its "
            "mechanisms are kept for the confirmation of the claims, which can be done only once; "
            "--confirm (in Python confirm=True) measures them"
        )


def spend(store: Store, checkpoints: Mapping[str, Checkpoint]) -> None:
    """Record in a store that the mechanisms of kept checkpoints are looked at.

    Args:
        store: the store.
        checkpoints: the checkpoints by name; those that are not kept do not count.
    """
    kept = {name: weights_hash(c.optimizer) for name, c in checkpoints.items() if is_kept(c)}
    before = store.confirmation()
    looked_at = before.optimizers if before else {}
    if set(kept.values()) <= set(looked_at.values()):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    store.put_confirmation(
        Confirmation(
            spent=before.spent if before else now,
            code=before.code if before else code_hash(),
            optimizers=_together(looked_at, kept),
        )
    )


def _together(looked_at: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """Both; where other weights have a name already, the name gets a number."""
    found = dict(looked_at)
    for name, weights in kept.items():
        free, number = name, 1
        while found.get(free, weights) != weights:
            number += 1
            free = f"{name} ({number})"
        found[free] = weights
    return found
