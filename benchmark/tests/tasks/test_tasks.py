"""The tasks: streams of problems, distributions, settings that are refused."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loptbench.errors import LoptbenchError
from loptbench.tasks import (
    SPLITS,
    TASKS,
    Digits,
    Quadratic,
    Rosenbrock,
    Task,
    TwoMoons,
    definition,
    generator,
    get_task,
    unflatten,
)

pytestmark = pytest.mark.harness

SEEDS = st.integers(0, 2**32)
INDICES = st.integers(0, 2**32)


def test_the_streams_are_the_same_everywhere_and_always() -> None:
    # Raw words of Philox, recorded once: another key or counter would change every result.
    bits = generator("quadratic", "evaluate", 7, 3).bit_generator.random_raw(2)
    assert [int(word) for word in bits] == RECORDED


RECORDED = [16768736622603579740, 14699218386898365592]


@given(seed=SEEDS, index=INDICES, split=st.sampled_from(SPLITS))
def test_a_problem_is_the_same_alone_and_in_a_batch(seed: int, index: int, split: str) -> None:
    task = Quadratic()
    alone = task.sample(split, seed, [index])
    batch = task.sample(split, seed, [index + 1, index, 0])
    assert np.array_equal(alone.initial_parameters[0], batch.initial_parameters[1])
    for name, array in alone.arrays.items():
        assert np.array_equal(array[0], batch.arrays[name][1])


@given(seed=SEEDS, index=INDICES)
def test_splits_seeds_and_indices_do_not_share_numbers(seed: int, index: int) -> None:
    streams = [generator("quadratic", split, seed, index) for split in SPLITS]
    streams += [generator("quadratic", "tune", seed + 1, index)]
    streams += [generator("quadratic", "tune", seed, index + 1)]
    streams += [generator("rosenbrock", "tune", seed, index)]
    drawn = [int(stream.bit_generator.random_raw()) for stream in streams]
    assert len(set(drawn)) == len(drawn)


@given(seed=SEEDS, n=st.integers(1, 8))
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
    off_diagonal = mean - np.diag(np.diag(mean))
    assert np.max(np.abs(off_diagonal)) < 0.02
    assert np.ptp(np.diag(mean)) < 0.03


@pytest.mark.parametrize("n", [0, -3])
def test_a_dimension_below_one_is_refused(n: int) -> None:
    with pytest.raises(
        LoptbenchError, match=f"n parameters of task 'quadratic' must be above 0, but it is {n}"
    ):
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
    with pytest.raises(LoptbenchError, match="unknown task 'cubic'; known are: digits, quadratic"):
        get_task("cubic")


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (lambda: Quadratic(n_steps=0), "n steps of task 'quadratic'"),
        (lambda: Rosenbrock(curvature=0.0), "curvature of task 'rosenbrock'"),
        (lambda: Rosenbrock(curvature=float("nan")), "curvature of task 'rosenbrock'"),
        (
            lambda: Rosenbrock(n_parameters=1),
            "n parameters of task 'rosenbrock' must be at least 2",
        ),
        (lambda: TwoMoons(width=0), "width of task 'two_moons'"),
        (lambda: TwoMoons(n_samples=-1), "n samples of task 'two_moons'"),
        (lambda: TwoMoons(penalty=0.0), "penalty of task 'two_moons'"),
        (lambda: Digits(channels=0), "channels of task 'digits'"),
        (lambda: Digits(batch_size=0), "batch size of task 'digits'"),
    ],
)
def test_a_setting_of_zero_or_below_is_refused(make: Callable[[], Task], setting: str) -> None:
    with pytest.raises(LoptbenchError, match=setting):
        make()


@pytest.mark.parametrize("name", sorted(TASKS))
@given(seed=SEEDS, split=st.sampled_from(SPLITS))
@settings(max_examples=5)
def test_every_task_is_the_same_alone_and_in_a_batch(name: str, seed: int, split: str) -> None:
    task = get_task(name)
    batch = task.sample(split, seed, [5, 2, 9])
    alone = task.sample(split, seed, [2])
    assert batch.initial_parameters.shape == (3, task.n_parameters)
    assert np.array_equal(batch.initial_parameters[1:2], alone.initial_parameters)
    for key, array in alone.arrays.items():
        assert np.array_equal(array[0], batch.arrays[key][1])
    assert not np.array_equal(batch.initial_parameters[0], batch.initial_parameters[1])
    assert batch.part([1]).sha256 == alone.sha256 != batch.part([0]).sha256


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_flat_parameters_consist_of_the_arrays_of_the_layout(name: str) -> None:
    batch = get_task(name).sample("tune", 0, range(2))
    parts = unflatten(batch.initial_parameters, batch.layout)
    assert list(parts) == list(batch.layout)
    flat = np.concatenate([part.reshape(2, -1) for part in parts.values()], axis=1)
    assert np.array_equal(flat, batch.initial_parameters)


def test_initial_weights_have_variance_one_over_fan_in_and_biases_are_zero() -> None:
    for task in (TwoMoons(width=40), Digits(channels=24)):
        batch = task.sample("evaluate", 0, range(40))
        for name, part in unflatten(batch.initial_parameters, batch.layout).items():
            if part.ndim == 2:
                assert not np.any(part), name
            else:
                fan_in = np.prod(part.shape[2:])
                spread = 5 * np.sqrt(2 / part.size)
                assert abs(np.mean(part**2) * fan_in - 1) < spread, name


def test_rosenbrock_starts_in_its_square() -> None:
    x0 = Rosenbrock().sample("evaluate", 0, range(2000)).initial_parameters
    assert np.all(np.abs(x0) <= 2)
    assert abs(np.mean(x0)) < 4 * 2 / np.sqrt(3 * x0.size)
    assert abs(np.mean(x0**2) - 4 / 3) < 0.1


def test_the_two_moons_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import make_moons

    points, labels = make_moons(1024, noise=0.1, shuffle=True, random_state=0)
    shared = TwoMoons().sample("tune", 0, [0]).shared
    assert np.array_equal(shared["points"], points)
    assert np.array_equal(shared["labels"], labels)
    assert shared["penalty"] == 5e-3


def test_minibatches_are_uniform_and_differ_between_problems() -> None:
    task = Digits()
    minibatches = task.sample("evaluate", 0, range(8)).arrays["minibatches"]
    assert minibatches.shape == (8, 100, 64)
    n = len(task.data.pixels)
    assert minibatches.min() >= 0
    assert minibatches.max() < n
    assert abs(np.mean(minibatches) / ((n - 1) / 2) - 1) < 0.01
    assert not np.array_equal(minibatches[0], minibatches[1])


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_definitions_of_different_tasks_differ(name: str) -> None:
    task = get_task(name)
    longer = dataclasses.replace(task, n_steps=task.n_steps + 1)  # type: ignore[type-var]
    assert definition(task) == definition(task)
    assert definition(task) != definition(longer)


def test_the_registry_holds_tasks_under_their_names() -> None:
    assert all(name == task.name for name, task in TASKS.items())
