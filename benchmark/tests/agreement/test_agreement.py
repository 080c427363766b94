"""Comparisons with the oracle: the bounds, and the messages."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loptbench.agreement.comparison import compare
from loptbench.agreement.tolerances import (
    TABLE,
    bound,
    free_running_bound,
    meta_gradient_bound,
    tolerance,
)
from loptbench.agreement.trajectories import (
    compare_trajectories,
    error_amplification,
    oracle_run,
    rounding_scales,
)
from loptbench.conformance import cases
from loptbench.discovery import oracle
from loptbench.errors import LoptbenchError
from loptbench.optimizers import momentum, random_gru
from loptbench.tasks import Quadratic
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.harness


@given(factor=st.floats(0, 3), step=st.integers(0, 4), place=st.integers(0, 2))
def test_a_bound_is_a_bound(factor: float, step: int, place: int) -> None:
    expected = np.linspace(1, 2, 15).reshape(5, 3)
    actual = expected.copy()
    actual[step, place] += factor * 1e-3 * 2.0
    compared = compare("loss", actual, expected, 2.0, 1e-3)
    if factor < 0.999:
        assert compared.ok
    if factor > 1.001:
        assert not compared.ok
        assert compared.first_exceeded == step
        assert compared.deviation.startswith(f"step {step}, component {place}: loss = ")
    assert compared.ratio == pytest.approx(factor, rel=1e-6, abs=1e-9)


def test_the_message_has_both_values_and_the_bound() -> None:
    compared = compare("update", np.array([[0.0, 0.41]]), np.array([[0.0, 0.39]]), 1.0, 1e-9)
    assert re.fullmatch(
        r"step 0, component 1: update = 0\.40999\d*, but should be 0\.39\d* ± 1\.0e-09",
        compared.deviation,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_exceeds_every_bound(value: float) -> None:
    compared = compare("loss", np.array([[1.0], [value]]), np.array([[1.0], [2.0]]), 1.0, np.inf)
    assert not np.isfinite(compared.error[1])
    compared = compare("loss", np.array([[1.0], [value]]), np.array([[1.0], [2.0]]), 1.0, 1e300)
    assert compared.first_exceeded == 1


def test_what_blew_up_alike_agrees() -> None:
    values = np.array([[np.nan, np.inf, 1.0]])
    assert compare("loss", values, values, 1.0, 1e-13).ok
    assert not compare("loss", -values, values, 1.0, 1e-13).ok


def test_every_quantity_has_a_bound_and_a_reason() -> None:
    for device, table in TABLE.items():
        for quantity, entry in table.items():
            assert entry.derivation, quantity
            assert bound(quantity, "float64", device) < bound(quantity, "float32", device)
    with pytest.raises(LoptbenchError, match="no tolerance for 'loss' on device 'abacus'"):
        tolerance("loss", "abacus")


def test_the_bounds_on_quadratic_are_those_that_were_promised() -> None:
    for quantity in ("loss", "parameters", "gradient", "state", "update"):
        assert bound(quantity, "float64") <= 1.001e-13
    tame = free_running_bound(np.logspace(0, 4.3), "float64", "cpu")
    assert np.all(tame <= 1.001e-10)
    assert np.all(np.diff(tame) >= 0)
    assert free_running_bound(np.array(1.0), "float64", "cpu") <= 1.001e-13
    for amplification in (1.0, 30.0, 1e3):
        assert meta_gradient_bound(amplification, 201, "float64", "cpu") <= 1.001e-10
    for quantity in "ABCD":
        assert bound(quantity, "float64") <= 1e-12


def test_growth_of_a_contraction_is_small() -> None:
    batch = Quadratic().sample("evaluate", 0, range(2))
    spec = momentum(0.5, 0.1)
    run = oracle_run(oracle(), spec, batch, 40)
    amplification = error_amplification(
        oracle(), spec, batch, run, rounding_scales(oracle(), spec, batch, run)
    )
    assert 1 <= amplification.parameters.max() <= 10


def test_growth_is_found_where_it_happens_late() -> None:
    """The shipped optimizer amplifies errors during a run more than those of its start."""
    case = next(c for c in cases("gru", "quadratic", 7) if c.label.startswith("checkpoint"))
    run = oracle_run(oracle(), case.spec, case.batch, case.n_steps)
    amplification = error_amplification(
        oracle(), case.spec, case.batch, run, rounding_scales(oracle(), case.spec, case.batch, run)
    )
    assert amplification.state.max() > 100
    assert np.all(np.diff(amplification.state, axis=0) >= 0)


@given(step=st.integers(0, 29), seed=st.integers(0, 20))
def test_a_disturbance_anywhere_in_a_run_is_found(step: int, seed: int) -> None:
    batch = Quadratic().sample("evaluate", seed, range(2))
    spec = random_gru(5, seed)
    run = oracle_run(oracle(), spec, batch, 30)
    loss = run.loss.copy()
    loss[step, 1] *= 1 + 1e-6
    compared = compare_trajectories(oracle(), run._replace(loss=loss), spec, batch, "float64")
    exceeded = [c for c in compared if not c.ok]
    assert [c.quantity for c in exceeded] == ["loss"]
    assert exceeded[0].deviation.startswith(f"step {step}, problem 1: loss")


def test_a_chaotic_problem_loosens_no_bound_but_its_own() -> None:
    """A problem without error growth keeps its tight bound beside a chaotic one."""
    task, spec = Quadratic(), shipped("quadratic-quick-jax-0").optimizer.rounded_to("float64")
    batch = task.sample("evaluate", 1, range(64))
    run = oracle_run(oracle(), spec, batch, task.n_steps)
    amplification = error_amplification(
        oracle(), spec, batch, run, rounding_scales(oracle(), spec, batch, run)
    ).loss[-1]
    wild, tame = int(np.argmax(amplification)), int(np.argmin(amplification))
    assert amplification[wild] > 10 * amplification[tame]
    for problem, within_bound in ((tame, False), (wild, True)):
        loss = run.loss.copy()
        size = rounding_scales(oracle(), spec, batch, run).loss[-1, problem]
        loss[-1, problem] += 5 * bound("state", "float64") * size * amplification[tame]
        compared = compare_trajectories(oracle(), run._replace(loss=loss), spec, batch, "float64")
        assert compared[0].ok == within_bound


def test_a_scale_covers_the_rounding_of_its_quantity() -> None:
    """The oracle's formulas in float32 stay within the bounds of the oracle in float64."""
    batch = Quadratic().sample("evaluate", 3, range(8)).rounded_to("float32")
    problems = oracle().problems(batch, "float64", "cpu")
    H, v, c = (batch.arrays[name].astype(np.float32) for name in ("H", "v", "c"))
    minimizer = -np.linalg.solve(batch.arrays["H"], batch.arrays["v"][:, :, None])[:, :, 0]
    x = minimizer.astype(np.float32)
    gradient = np.einsum("pij,pj->pi", H, x) + v
    loss = 0.5 * np.sum(x * np.einsum("pij,pj->pi", H, x), 1) + np.sum(v * x, 1) + c
    expected_loss, expected_gradient = problems.loss_and_gradient(x.astype(np.float64), 0)
    loss_size, gradient_size = problems.rounding_scale(x.astype(np.float64), 0)
    assert compare("loss", loss, expected_loss, loss_size, bound("loss", "float32")).ok
    compared = compare(
        "gradient", gradient, expected_gradient, gradient_size, bound("gradient", "float32")
    )
    assert compared.ok
    # Relative to its own size, the gradient at the minimum has no correct digit.
    assert np.max(np.abs(gradient - expected_gradient) / np.abs(expected_gradient)) > 0.01
