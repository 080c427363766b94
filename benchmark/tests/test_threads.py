"""Components in several threads give what one thread gives, and nothing stays changed."""

import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from loptbench.discovery import get_implementation
from loptbench.optimizers.gru import random_gru
from loptbench.protocol import Array
from loptbench.threads import MIN_MULTIPLICATIONS, by_blocks, component_threads


def blas_threads() -> list[int]:
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


def test_blocks_cover_all_components_in_order() -> None:
    with component_threads():
        parts = by_blocks(lambda block: np.arange(7)[block], 7, MIN_MULTIPLICATIONS)
    assert np.concatenate(parts).tolist() == list(range(7))


@pytest.mark.parametrize(("n", "n_multiplications"), [(7, 10), (1, 10**9), (0, 10**9)])
def test_little_work_stays_in_its_thread(n: int, n_multiplications: int) -> None:
    with component_threads():
        assert by_blocks(lambda _: threading.get_ident(), n, n_multiplications) == [
            threading.get_ident()
        ]


def test_blas_has_its_threads_back_after_an_error() -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), component_threads():
        by_blocks(lambda _: 1 / 0, 4, MIN_MULTIPLICATIONS)
    assert blas_threads() == before


def test_one_thread_for_blas_is_one_thread_for_components() -> None:
    """Who limits BLAS, as the processes of `run` do, does not get threads by another name."""
    with threadpool_limits(1, user_api="blas"), component_threads():
        parts = by_blocks(lambda block: block, 4, MIN_MULTIPLICATIONS)
    assert parts == [slice(0, 4)]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
def test_the_reference_computes_the_same_in_threads() -> None:
    """In blocks, products of matrices round otherwise; nothing else differs."""
    optimizer = get_implementation("reference").optimizer(random_gru(128, 0), "float64", "cpu")
    rng = np.random.default_rng(0)
    state, gradient = rng.standard_normal((201, 128)), rng.standard_normal(201)

    def everything() -> list[Array]:
        return [
            *optimizer.step(state, gradient),
            *optimizer.linearize(state, gradient),
            optimizer.gain(state, gradient),
            optimizer.drive(state, gradient, [0, 3, 7]),
        ]

    whole = everything()
    with threadpool_limits(2, user_api="blas"), component_threads():
        assert len(by_blocks(lambda block: block, 4, MIN_MULTIPLICATIONS)) == 2
        in_threads = everything()
    for one, other in zip(whole, in_threads, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-13 * np.abs(one).max())
