"""Problem streams and the quadratic task."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.errors import LoptbenchError
from loptbench.tasks import SPLITS, TASKS, Quadratic, generator, get_task

seeds = st.integers(0, 2**32)
indices = st.integers(0, 2**32)


def test_the_streams_are_the_same_everywhere_and_always() -> None:
    # Raw words of Philox, recorded once: a change of key or counter is a change of every result.
    bits = generator("quadratic", "evaluate", 7, 3).bit_generator.random_raw(2)
    assert [int(word) for word in bits] == RECORDED


RECORDED = [16768736622603579740, 14699218386898365592]


@given(seed=seeds, index=indices, split=st.sampled_from(SPLITS))
def test_a_problem_is_the_same_alone_and_in_a_batch(seed: int, index: int, split: str) -> None:
    task = Quadratic()
    alone = task.sample(split, seed, [index])
    batch = task.sample(split, seed, [index + 1, index, 0])
    assert np.array_equal(alone.initial_parameters[0], batch.initial_parameters[1])
    for name, array in alone.arrays.items():
        assert np.array_equal(array[0], batch.arrays[name][1])


@given(seed=seeds, index=indices)
def test_splits_seeds_and_indices_do_not_share_numbers(seed: int, index: int) -> None:
    streams = [generator("quadratic", split, seed, index) for split in SPLITS]
    streams += [generator("quadratic", "tune", seed + 1, index)]
    streams += [generator("quadratic", "tune", seed, index + 1)]
    streams += [generator("rosenbrock", "tune", seed, index)]
    drawn = [int(stream.bit_generator.random_raw()) for stream in streams]
    assert len(set(drawn)) == len(drawn)


@given(seed=seeds, n=st.integers(1, 8))
def test_quadratics_are_as_defined(seed: int, n: int) -> None:
    batch = Quadratic(n_parameters=n).sample("tune", seed, range(5))
    H, v, c = (batch.arrays[name] for name in ("H", "v", "c"))
    assert batch.initial_parameters.shape == (5, n) == v.shape
    assert np.array_equal(H, np.swapaxes(H, 1, 2))
    eigenvalues = np.linalg.eigvalsh(H)
    assert np.all(eigenvalues > 1e-3 * (1 - 1e-9))
    assert np.all(eigenvalues < 1 + 1e-9)
    minimizer = -np.linalg.solve(H, v[:, :, None])[:, :, 0]
    lowest = 0.5 * np.einsum("pi,pij,pj->p", minimizer, H, minimizer) + np.sum(v * minimizer, 1) + c
    assert np.all(np.abs(lowest) <= 1e-11 * np.maximum(1, c))


def test_quadratics_have_the_distribution_they_should() -> None:
    batch = Quadratic().sample("evaluate", 0, range(4000))
    x0, v, H = batch.initial_parameters, batch.arrays["v"], batch.arrays["H"]
    for normal in (x0, v):
        assert abs(np.mean(normal)) < 4 / np.sqrt(normal.size)
        assert abs(np.mean(normal**2) - 1) < 4 * np.sqrt(2 / normal.size)
    logs = np.log10(np.linalg.eigvalsh(H))
    assert abs(np.mean(logs) + 1.5) < 4 * np.sqrt(0.75 / logs.size)
    # A uniform basis has no preferred direction: the mean of H is a multiple of the identity.
    mean = np.mean(H, axis=0)
    off = mean - np.diag(np.diag(mean))
    assert np.max(np.abs(off)) < 0.02
    assert np.ptp(np.diag(mean)) < 0.03


@pytest.mark.parametrize("n", [0, -3])
def test_a_dimension_below_one_is_refused(n: int) -> None:
    with pytest.raises(LoptbenchError, match=f"at least 1, but it is {n}"):
        Quadratic(n_parameters=n)


def test_eigenvalues_out_of_order_are_refused() -> None:
    with pytest.raises(LoptbenchError, match="0 < l <= L < inf"):
        Quadratic(eigenvalues=(1.0, 0.1))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(LoptbenchError, match="at least one problem"):
        Quadratic().sample("tune", 0, [])
    with pytest.raises(LoptbenchError, match=r"unknown split 'test'; known are: evaluate, meta_tr"):
        Quadratic().sample("test", 0, [0])
    with pytest.raises(LoptbenchError, match="a seed must lie in"):
        Quadratic().sample("tune", -1, [0])
    with pytest.raises(LoptbenchError, match="unknown task 'cubic'; known are: quadratic"):
        get_task("cubic")


def test_the_registry_holds_tasks_under_their_names() -> None:
    assert all(name == task.name for name, task in TASKS.items())
