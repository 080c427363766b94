"""Optimizers beyond the baselines: their answers are derived by hand, or do not exist."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from loptbench.discovery import oracle
from loptbench.mechanisms.analysis import analyze
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.optimizers import baseline, sgd
from loptbench.protocol import Linearization
from loptbench.results.schema.mechanisms import NotApplicable
from loptbench.rollout.trajectory import run, unroll_by_steps
from loptbench.tasks import Quadratic
from loptbench.tests.mechanisms.test_mechanisms import reference_optimizer

pytestmark = pytest.mark.harness

Float = NDArray[np.float64]


def analysis_json(optimizer: Any) -> dict[str, Any]:
    """The analysis as strict JSON, in which every number is finite."""
    batch = Quadratic().sample("evaluate", 0, range(3))
    problems = oracle().problems(batch, "float64", "cpu")
    with np.errstate(all="ignore"):
        runs = unroll_by_steps(optimizer, problems, batch.initial_parameters, 30)
    result: dict[str, Any] = json.loads(
        json.dumps(analyze(optimizer, runs).model_dump(mode="json"), allow_nan=False)
    )
    assert set(result) - {"views"} == {
        "convergence_point",
        "momentum",
        "clipping",
        "schedule",
        "adaptation",
    }
    return result


def test_an_integer_state_is_said_and_what_can_be_measured_is() -> None:
    class Counting:
        def initial_state(self, n: int) -> Any:
            return np.zeros((n, 1), np.int64)

        def step(self, h: Any, g: Float) -> tuple[Any, Float]:
            return h + 1, -0.1 * 0.9 ** h[:, 0] * g

    result = analysis_json(Counting())
    for probe in ("convergence_point", "momentum"):
        assert "int64" in result[probe]["not_applicable"]
    np.testing.assert_allclose(result["schedule"]["rate"], 0.1 * 0.9 ** np.arange(30), rtol=1e-9)
    adapted, exact = (result["adaptation"][states] for states in ("adapted", "exact"))
    np.testing.assert_allclose(adapted["rate_reference"], 0.1 * 0.9**60, rtol=1e-9)
    assert exact["coverage"] == 0
    assert all("int64" in reason for reason in exact["reason"])
    assert result["clipping"]["states"][0]["half_saturation"] == [None, None]


def test_lion_has_no_learning_rate_where_it_rests_and_says_so() -> None:
    """Δ = −α sign(β₁ m + (1 − β₁) g), m' = β₂ m + (1 − β₂) g (Chen et al. 2023)."""

    class Lion:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            m = h[:, 0]
            return (0.99 * m + 0.01 * g)[:, None], -0.01 * np.sign(0.9 * m + 0.1 * g)

    result = analysis_json(Lion())
    assert result["convergence_point"]["spectral_radius"] == pytest.approx(0.99)
    assert "not differentiable" in result["momentum"]["not_applicable"]
    assert "not differentiable" in result["schedule"]["not_applicable"]
    assert (result["convergence_point"]["C"], result["convergence_point"]["D"]) == ([None], None)


def test_an_update_without_a_linear_part_has_no_rate() -> None:
    class Cubic:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 0))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            return h, -0.01 * g**3

    result = analysis_json(Cubic())
    assert "no part that is linear" in result["momentum"]["not_applicable"]
    assert "no part that is linear" in result["clipping"]["not_applicable"]


def test_a_soft_clip_is_half_saturated_where_it_says() -> None:
    """u = −α g / (1 + |g|/c), with a different c on each arm: s = ½ at c."""

    class Soft:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 0))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            return h, -0.2 * g / (1 + np.abs(g) / np.where(g < 0, 0.7, 3.0))

    for function in analysis_json(Soft())["clipping"]["states"]:
        assert function["half_saturation"] == pytest.approx([0.7, 3.0], rel=1e-9)


def test_beyond_some_gradient_not_a_number() -> None:
    class Fragile:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            usable = np.where(np.abs(g) > 1.5, np.nan, g)
            return 0.5 * h + usable[:, None], -0.1 * (0.5 * h[:, 0] + usable)

    result = analysis_json(Fragile())
    assert result["momentum"]["index"] == pytest.approx(0.5, rel=1e-9)
    assert result["clipping"]["states"][0]["half_saturation"] == [None, None]
    adaptation = result["adaptation"]
    g, rate = np.array(adaptation["gradients"]), np.array(adaptation["rate_reference"], float)
    np.testing.assert_array_equal(np.isfinite(rate), np.abs(g) <= 1.5)
    np.testing.assert_allclose(rate[np.isfinite(rate)], 0.1, rtol=1e-9)


def test_ten_thousand_state_variables_are_measured_where_no_jacobian_is_needed() -> None:
    class Wide:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 10_000))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            new = 0.9 * h + g[:, None]
            return new, -0.1 * new.mean(axis=1)

    result = analyze(Wide()).model_dump(mode="json")
    assert "10,000 variables" in result["convergence_point"]["not_applicable"]
    adapted, exact = (result["adaptation"][states] for states in ("adapted", "exact"))
    np.testing.assert_allclose(adapted["rate_reference"], 0.1, rtol=1e-9)
    assert set(exact["rate_reference"]) == {None}
    assert all("10,000 variables" in reason for reason in exact["reason"])
    np.testing.assert_allclose(result["schedule"]["rate"], 0.1, rtol=1e-9)


def test_of_a_run_that_blows_up_only_the_first_gradients_count() -> None:
    """Otherwise the statistics would include gradients up to 1e100."""
    batch = Quadratic().sample("evaluate", 0, range(4))
    runs = run(oracle(), sgd(0.1), batch, 30)
    loss, gradient = runs.loss.copy(), runs.gradient.copy()
    loss[10:, 2] = 1e7 * loss[0, 2]
    gradient[10:, 2] *= 1e30
    statistics = GradientStatistics.from_run(runs._replace(loss=loss, gradient=gradient))
    assert statistics.largest == np.abs(runs.gradient).max()
    assert np.count_nonzero(statistics.gradients[2]) == 5
    assert np.count_nonzero(statistics.gradients[1]) == 150


def from_functions(step: Any, start: tuple[float, ...]) -> Any:
    class FromFunctions:
        def initial_state(self, n: int) -> Float:
            return np.tile(start, (n, 1)).reshape(n, len(start))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            new, update = step(h.T, g)
            return np.array(new).reshape(h.shape[::-1]).T.copy(), update

    return FromFunctions()


def test_quasi_hyperbolic_momentum() -> None:
    """Δ = −α ((1 − ν) g + ν m'), m' = βm + (1 − β) g (Ma and Yarats 2019): m = ν β."""

    def step(h: Float, g: Float) -> Any:
        m = 0.9 * h[0] + 0.1 * g
        return [m], -0.1 * (0.3 * g + 0.7 * m)

    result = analysis_json(from_functions(step, (0.0,)))["momentum"]
    assert result["index"] == pytest.approx(0.63, rel=1e-9)
    assert result["effective_rate"] == pytest.approx(0.037, rel=1e-9)
    assert result["modes"][0]["contribution"] == pytest.approx(0.063, rel=1e-9)


def test_complex_modes() -> None:
    """h' = R h + e₁ g, Δ = −α e₁·h': Σκ = −α e₁·(I − R)⁻¹ e₁."""
    turn = 0.9 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])

    def step(h: Float, g: Float) -> Any:
        new = turn @ h
        new[0] += g
        return list(new), -0.1 * new[0]

    result = analysis_json(from_functions(step, (0.0, 0.0)))["momentum"]
    total = np.linalg.inv(np.eye(2) - turn)[0, 0]
    assert result["index"] == pytest.approx(1 - 1 / total, rel=1e-9)
    assert result["asymptotic_rate"] == pytest.approx(0.1 * total, rel=1e-9)
    assert abs(result["modes"][0]["eigenvalue"][1]) == pytest.approx(0.9 * np.sin(0.5))


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_the_elasticity_of_other_powers(power: float) -> None:
    """Δ = −α g / v'^p, v' = γv + (1 − γ) g²: η_ref ∝ |g|^(−2p)."""

    def step(h: Float, g: Float) -> Any:
        v = 0.9 * h[0] + 0.1 * g**2
        return [v], -0.1 * g / (v**power + 1e-12)

    result = analysis_json(from_functions(step, (0.0,)))["adaptation"]
    assert result["elasticity"] == pytest.approx([-2 * power] * 2, abs=1e-5)


def test_clips_of_other_shapes() -> None:
    """For tanh, s = ½ where tanh x = x/2. The hard clip differs between the arms."""
    soft = analysis_json(from_functions(lambda h, g: ([], -0.6 * np.tanh(g / 2)), ()))["clipping"]
    hard = analysis_json(from_functions(lambda h, g: ([], -0.1 * np.clip(g, -0.2, 1.5)), ()))[
        "clipping"
    ]
    root = brentq(lambda x: np.tanh(x) - x / 2, 1, 3)
    for function in soft["states"]:
        assert function["half_saturation"] == pytest.approx([2 * root] * 2, rel=1e-9)
    for function in hard["states"]:
        assert function["half_saturation"] == pytest.approx([0.4, 3.0], rel=1e-9)


def test_a_warm_up_that_ends() -> None:
    def step(h: Float, g: Float) -> Any:
        return [np.minimum(h[0] + 1, 19)], -0.1 * (h[0] + 1) / 20 * g

    result = analysis_json(from_functions(step, (0.0,)))
    schedule = result["schedule"]
    np.testing.assert_allclose(
        schedule["rate"], 0.1 * np.minimum(1, np.arange(1, 31) / 20), rtol=1e-9
    )
    assert schedule["peak_step"] == 19
    assert result["momentum"]["effective_rate"] == pytest.approx(0.1, rel=1e-9)
    # The counter is no constant: a displaced value returns to 19.
    assert result["convergence_point"]["held"] == []
    assert result["convergence_point"]["state"] == [19.0]
    assert result["convergence_point"]["spectral_radius"] == 0


def test_a_sum_that_never_forgets_never_comes_to_rest_and_has_adapted_states() -> None:
    """Adagrad (Duchi et al. 2011)."""

    def step(h: Float, g: Float) -> Any:
        v = h[0] + g**2
        return [v], -0.1 * g / (np.sqrt(v) + 1e-8)

    result = analysis_json(from_functions(step, (0.0,)))
    assert result["convergence_point"]["spectral_radius"] == pytest.approx(1)
    assert "never ends" in result["momentum"]["not_applicable"]
    adaptation = result["adaptation"]
    assert not any(adaptation["settled"])
    assert adaptation["exact"]["coverage"] == 0
    g = np.array(adaptation["gradients"])
    n = len(result["schedule"]["rate"]) if "rate" in result["schedule"] else 30
    expected = 0.1 / (np.sqrt(n * g**2) + 1e-8)
    np.testing.assert_allclose(adaptation["adapted"]["rate_reference"], expected, rtol=1e-7)


def test_a_rate_that_only_gradients_below_epsilon_get_is_none() -> None:
    """RMSProp as tuned on two_moons: at rest its D is −α/ε = 10⁶, on gradients around 0.01."""
    statistics = GradientStatistics(np.zeros((0, 0)), 0.01, 1e-4, 1.0)
    result = analyze(
        reference_optimizer(baseline("rmsprop", alpha=0.01, gamma=0.9999)), statistics=statistics
    )
    for probe in (result.momentum, result.schedule):
        assert isinstance(probe, NotApplicable)
        assert "not linear in the gradient even below 1.0e-06" in probe.reason


def test_a_clip_far_below_the_gradients_is_still_one() -> None:
    statistics = GradientStatistics(np.zeros((0, 0)), 1.0, 0.1, 10.0)
    hard = from_functions(lambda h, g: ([], -0.1 * np.clip(g, -0.002, 0.002)), ())
    soft = from_functions(lambda h, g: ([], -0.1 * g / (1 + np.abs(g) / 0.01)), ())
    for optimizer, half in ((hard, 0.004), (soft, 0.01)):
        clipping = analyze(optimizer, statistics=statistics).model_dump(mode="json")["clipping"]
        assert clipping["states"][0]["half_saturation"] == pytest.approx([half] * 2, rel=1e-9)


@pytest.mark.parametrize("decay", [0.3, 0.5, 0.8, 0.95])
def test_a_rate_that_has_come_to_rest_is_still_a_mode(decay: float) -> None:
    """A rate in the state, s' = λ s + (1 − λ)/16 from ½, and momentum 0.1: s is no constant."""

    def step(h: Float, g: Float) -> Any:
        rate, m = decay * h[0] + (1 - decay) / 16, 0.1 * h[1] + g
        return [rate, m], -rate * m

    result = analysis_json(from_functions(step, (0.5, 0.0)))
    assert result["convergence_point"]["spectral_radius"] == pytest.approx(decay, rel=1e-9)
    assert len(result["momentum"]["modes"]) == 2
    assert result["momentum"]["index"] == pytest.approx(0.1, rel=1e-9)
    rates = 1 / 16 + (0.5 - 1 / 16) * decay ** np.arange(1, 31)
    np.testing.assert_allclose(result["schedule"]["rate"], rates, rtol=1e-9)


def test_a_state_that_begins_on_an_unstable_point_is_no_constant() -> None:
    """h' = 1 + 1.5 (h − 1) from 1, where it stays until it is disturbed."""
    result = analysis_json(
        from_functions(lambda h, g: ([1 + 1.5 * (h[0] - 1)], -0.1 * g * h[0]), (1.0,))
    )
    assert result["convergence_point"]["spectral_radius"] == pytest.approx(1.5, rel=1e-9)
    assert "never ends" in result["momentum"]["not_applicable"]


def test_a_constant_is_held_wherever_it_is() -> None:
    result = analysis_json(
        from_functions(lambda h, g: ([h[0], 0.9 * h[1] + g], -h[0] * h[1]), (0.1, 0.0))
    )
    assert result["convergence_point"]["spectral_radius"] == pytest.approx(0.9, rel=1e-9)
    assert len(result["momentum"]["modes"]) == 1


def test_an_answer_that_comes_a_step_late_is_all_momentum() -> None:
    """Δ = −α h, h' = β h + g: κ is 0, −α, −αβ and so on."""
    result = analysis_json(from_functions(lambda h, g: ([0.9 * h[0] + g], -0.1 * h[0]), (0.0,)))[
        "momentum"
    ]
    assert (result["index"], result["effective_rate"]) == (1.0, 0.0)
    assert result["asymptotic_rate"] == pytest.approx(1.0, rel=1e-9)
    assert result["impulse_response"][:3] == pytest.approx([0.0, -0.1, -0.09], rel=1e-9)


def test_rates_that_always_fall_are_in_order_over_any_number_of_decades() -> None:
    """h' = 0.5 h + 0.5 |g|, Δ = −g/h⁶: a rate of |g|⁻⁶, over six decades and more."""
    optimizer = from_functions(
        lambda h, g: ([0.5 * h[0] + 0.5 * np.abs(g)], -g * (0.001 + h[0]) ** -6), (0.0,)
    )
    statistics = GradientStatistics(np.zeros((0, 0)), 1.0, 0.1, 10.0)
    result = analyze(optimizer, statistics=statistics).model_dump(mode="json")["adaptation"]
    assert result["rank_correlation"] == pytest.approx([-1.0, -1.0], abs=1e-12)


def test_a_half_saturation_beyond_what_is_a_number_is_not_known() -> None:
    """Δ = −s tanh(g/s) up to |g| = 10: it falls to half at 1.915 s."""
    half = brentq(lambda x: np.tanh(x) / x - 0.5, 1, 3)

    def within_ten(s: float) -> dict[str, Any]:
        def step(_: Float, g: Float) -> Any:
            return [], np.where(np.abs(g) > 10, np.nan, -0.1 * s * np.tanh(g / s))

        state: dict[str, Any] = analysis_json(from_functions(step, ()))["clipping"]["states"][0]
        return state

    assert within_ten(3.0)["half_saturation"] == pytest.approx([3 * half] * 2, rel=1e-9)
    beyond = within_ten(6.0)
    assert beyond["half_saturation"] == [None, None]
    assert beyond["half_saturation_is_known"] == [False, False]


def test_a_linearize_that_writes_into_its_arguments_does_no_harm() -> None:
    class Writing:
        def initial_state(self, n: int) -> Float:
            return np.zeros((n, 1))

        def step(self, h: Float, g: Float) -> tuple[Float, Float]:
            m = 0.9 * h[:, 0] + g
            return m[:, None], -0.1 * m

        def linearize(self, h: Float, g: Float) -> Linearization:
            n = len(g)
            h += 1
            return Linearization(
                np.full((n, 1, 1), 0.9), np.ones((n, 1)), np.full((n, 1), -0.09), np.full(n, -0.1)
            )

    result = analysis_json(Writing())
    assert abs(result["convergence_point"]["drift"]) < 1e-12
    assert result["momentum"]["index"] == pytest.approx(0.9, rel=1e-9)
