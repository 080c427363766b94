"""The baselines equal those of `torch.optim` and `optax`, at every step of a run in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loptbench.agreement.tolerances import free_running_bound
from loptbench.agreement.trajectories import error_amplification, oracle_run, rounding_scales
from loptbench.conformance.cases import cases
from loptbench.discovery import oracle
from loptbench.optimizers import BASELINES, SCHEDULED, OptimizerSpec, baseline
from loptbench.tasks import Digits, ProblemBatch, Quadratic, Rosenbrock

pytestmark = pytest.mark.conformance

N_STEPS = 30
DECAYS = st.one_of(st.just(0.0), st.floats(0.01, 0.999))
SPECS: dict[str, st.SearchStrategy[OptimizerSpec]] = {
    kind: st.builds(
        lambda kind, alpha, epsilon, decays: baseline(
            kind, epsilon, alpha=alpha, **dict(zip(BASELINES[kind][1:], decays, strict=False))
        ),
        st.just(kind),
        st.floats(1e-4, 0.3),
        st.sampled_from([1e-8, 1e-3]),
        st.tuples(DECAYS, DECAYS),
    )
    for kind in BASELINES
}


Step = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def assert_same_trajectory(
    make: Callable[[], Step], spec: OptimizerSpec, batch: ProblemBatch
) -> None:
    """Compare the oracle's run with the library's, given the oracle's gradients, then its own.

    With the same gradients the two differ by rounding. With their own gradients rounding errors
    may grow, and the bound grows with the error amplification of the oracle.
    """
    expected = oracle_run(oracle(), spec, batch, N_STEPS)
    problems = oracle().problems(batch, "float64", "cpu")
    for closed_loop in (False, True):
        step = make()
        xs = [batch.initial_parameters]
        for k in range(N_STEPS):
            gradient = expected.gradient[k]
            if closed_loop:
                _, gradient = problems.loss_and_gradient(xs[-1], k)
            xs.append(step(xs[-1], gradient))
        actual = np.stack(xs)
        size = np.maximum.accumulate(np.abs(actual).max(axis=(1, 2)))[:, None, None] + 1
        limit: Any = 1e-12 * size
        if closed_loop:
            scales = rounding_scales(oracle(), spec, batch, expected)
            amplification = error_amplification(oracle(), spec, batch, expected, scales)
            bound = free_running_bound(amplification.parameters[:, :, None], "float64", "cpu")
            limit = bound * scales.parameters
        assert np.all(np.abs(expected.parameters - actual) <= limit)


@pytest.mark.parametrize("kind", BASELINES)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_torch_optim(kind: str, data: st.DataObject, seed: int) -> None:
    torch = pytest.importorskip("torch")
    spec = data.draw(SPECS[kind], label="optimizer")
    p = {name: float(value) for name, value in spec.parameters.items()}
    epsilon = spec.constants.get("epsilon")
    batch = Quadratic().sample("tune", seed, range(3))

    def make() -> Step:
        x = torch.tensor(batch.initial_parameters, requires_grad=True)
        optimizer = {
            "sgd": lambda: torch.optim.SGD([x], lr=p["alpha"]),
            "momentum": lambda: torch.optim.SGD([x], lr=p["alpha"], momentum=p["beta"]),
            "nesterov": lambda: torch.optim.SGD(
                # torch refuses Nesterov with a momentum of zero, which is plain gradient descent.
                [x],
                lr=p["alpha"],
                momentum=p["beta"] or 1e-300,
                nesterov=True,
            ),
            "rmsprop": lambda: torch.optim.RMSprop(
                [x], lr=p["alpha"], alpha=p["gamma"], eps=epsilon
            ),
            "adam": lambda: torch.optim.Adam(
                [x], lr=p["alpha"], betas=(p["beta1"], p["beta2"]), eps=epsilon
            ),
        }[kind]()

        def step(_: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
            x.grad = torch.tensor(gradient)
            optimizer.step()
            return np.array(x.detach().numpy())

        return step

    assert_same_trajectory(make, spec, batch)


@pytest.mark.parametrize("kind", BASELINES)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_optax(kind: str, data: st.DataObject, seed: int) -> None:
    spec = data.draw(SPECS[kind], label="optimizer")
    assert_same_as_optax(spec, kind, float(spec.parameters["alpha"]), seed)


@pytest.mark.parametrize("kind", ["cosine_nesterov", "cosine_adam", "exponential_rmsprop"])
@given(data=st.data(), final=st.floats(1e-4, 1.0), seed=st.integers(0, 1000))
def test_optax_with_a_schedule(kind: str, data: st.DataObject, final: float, seed: int) -> None:
    optax = pytest.importorskip("optax")
    schedule, inner = SCHEDULED[kind]
    plain = data.draw(SPECS[inner], label="optimizer without the schedule")
    p = {name: float(value) for name, value in plain.parameters.items()}
    n_steps, alpha = 20, p["alpha"]  # shorter than the run
    spec = baseline(kind, plain.constants.get("epsilon", 1.0), n_steps, **p, final=final)
    made = {
        "cosine": lambda: optax.cosine_decay_schedule(alpha, n_steps, final),
        "exponential": lambda: optax.exponential_decay(
            alpha, n_steps, final, end_value=alpha * final
        ),
    }[schedule]()
    # optax divides its count, an int32, in float32.
    assert_same_as_optax(spec, inner, lambda count: made(count.astype("float64")), seed)


def assert_same_as_optax(spec: OptimizerSpec, kind: str, rate: Any, seed: int) -> None:
    """Compare the oracle's run with that of optax, whose learning rate is a number or a schedule.

    Args:
        spec: the optimizer.
        kind: the kind of the optimizer in optax.
        rate: its learning rate.
        seed: the seed of the problems.
    """
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    p = {name: float(value) for name, value in spec.parameters.items()}
    epsilon = spec.constants.get("epsilon")
    batch = Quadratic().sample("tune", seed, range(3))

    def make() -> Step:
        optimizer = {
            "sgd": lambda: optax.sgd(rate),
            "momentum": lambda: optax.sgd(rate, p["beta"]),
            "nesterov": lambda: optax.sgd(rate, p["beta"], nesterov=True),
            "rmsprop": lambda: optax.rmsprop(rate, p["gamma"], epsilon, eps_in_sqrt=False),
            "adam": lambda: optax.adam(rate, p["beta1"], p["beta2"], epsilon),
        }[kind]()
        memory = optimizer.init(jax.numpy.asarray(batch.initial_parameters))

        def step(x: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
            nonlocal memory
            update, memory = optimizer.update(jax.numpy.asarray(gradient), memory)
            return np.asarray(x + np.asarray(update))

        return step

    with jax.enable_x64(True):
        assert_same_trajectory(make, spec, batch)


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize(
    "task", [Quadratic(n_steps=20), Rosenbrock(n_steps=20), Digits(2, 4, 20)], ids=lambda t: t.name
)
def test_the_plain_loop_that_perf_times_computes_the_same_run(kind: str, task: Any) -> None:
    pytest.importorskip("torch")
    from loptbench.implementations.torch.plain_loop import run

    (case,) = cases(kind, task.name, 0, {})
    batch = task.sample("tune", 0, [3])
    actual = run(case.spec, batch, task.n_steps)
    expected = oracle_run(oracle(), case.spec, batch, task.n_steps).loss[:, 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9 * expected[0])
