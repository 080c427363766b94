"""What the oracle has computed is not computed again, and only where the arguments are equal."""

import numpy as np
import pytest
from numpy.typing import NDArray

from loptbench.agreement import memory
from loptbench.agreement.memory import remembered
from loptbench.agreement.trajectories import measured_run, oracle_run
from loptbench.discovery import oracle
from loptbench.optimizers import momentum, sgd
from loptbench.tasks import Quadratic

pytestmark = pytest.mark.harness

BATCH = Quadratic().sample("evaluate", 3, range(4))


def test_a_run_is_computed_once_for_equal_contents() -> None:
    first = oracle_run(oracle(), sgd(0.1), BATCH, 3)
    assert oracle_run(oracle(), sgd(0.1), BATCH.part(range(4)), 3) is first
    for spec, batch, n_steps in (
        (sgd(0.2), BATCH, 3),
        (momentum(0.1, 0.5), BATCH, 3),
        (sgd(0.1), BATCH.part([1, 0, 2, 3]), 3),
        (sgd(0.1), BATCH.starting_at(2 * BATCH.initial_parameters), 3),
        (sgd(0.1), BATCH, 4),
    ):
        other = oracle_run(oracle(), spec, batch, n_steps)
        assert not np.array_equal(other.loss, first.loss)
    measured = measured_run(oracle(), sgd(0.1), BATCH, 3)
    assert measured.run is first


def test_a_result_cannot_be_changed_by_who_gets_it() -> None:
    run = oracle_run(oracle(), sgd(0.3), BATCH, 3)
    with pytest.raises(ValueError, match="read-only"):
        run.loss[0] = 0


def test_the_memory_is_bounded_and_forgets_what_was_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_memory", memory._Memory())
    monkeypatch.setattr(memory, "MAX_BYTES", 2500)
    computed = []

    @remembered
    def zeros(seed: int) -> NDArray[np.float64]:
        computed.append(seed)
        return np.zeros(125)  # 1000 bytes

    for seed in (0, 1, 0, 2, 0, 1):
        zeros(seed)
    assert computed == [0, 1, 2, 1]
    assert memory._memory.n_bytes == 2000
