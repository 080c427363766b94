"""Optimizers without an answer to some probe."""

import json
import sys
from collections.abc import Callable

import numpy as np
import pytest

from loptbench.cli import main as cli
from loptbench.mechanisms.adaptation import measure_adaptation
from loptbench.mechanisms.convergence import find_convergence_point
from loptbench.mechanisms.dynamics.counters import freeze_counters
from loptbench.mechanisms.dynamics.response import usable_slope
from loptbench.mechanisms.gradient_statistics import GradientStatistics
from loptbench.mechanisms.momentum import measure_momentum
from loptbench.protocol import Array
from loptbench.results.schema.mechanisms import (
    AdaptationResult,
    ConvergencePointResult,
    FrozenVariable,
    MomentumResult,
    NotApplicable,
)

pytestmark = pytest.mark.harness

Rule = Callable[[Array, Array], tuple[Array, Array]]
STATISTICS = GradientStatistics.from_run(None)


class Toy:
    """An optimizer without `linearize`, from its rule: (h, g) -> h', Δ."""

    def __init__(self, rule: Rule, *start: float) -> None:
        self.rule, self.start = rule, start

    def initial_state(self, n_components: int) -> Array:
        return np.tile(np.array(self.start, np.float64), (n_components, 1))

    def step(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        return self.rule(state, gradient)


def column(h: Array) -> Array:
    return h[:, None]


def scalar_toy(new: Callable[[Array, Array], Array], rate: float = 0.1) -> Toy:
    """h' = new(h, g) with one state variable, Δ = −rate h'."""

    def rule(state: Array, gradient: Array) -> tuple[Array, Array]:
        h = new(state[:, 0], gradient)
        return column(h), -rate * h

    return Toy(rule, 0.0)


def linear(M: Array, v: Array) -> Toy:
    """h' = M h + v g, Δ = −0.1 v·h'."""

    def rule(state: Array, gradient: Array) -> tuple[Array, Array]:
        h = state @ M.T + gradient[:, None] * v
        return h, -0.1 * h @ v

    return Toy(rule, *np.zeros(len(v)))


KINKS = {
    "rectified gradient": scalar_toy(lambda h, g: 0.9 * h + np.maximum(g, 0)),
    "absolute state": scalar_toy(lambda h, g: 0.9 * np.abs(h) + g),
    "absolute gradient": scalar_toy(lambda h, g: 0.9 * h + np.abs(g)),
    "maximum": scalar_toy(lambda h, g: np.maximum(0.99 * h, np.abs(g))),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_where_it_rests_has_no_linear_system(name: str) -> None:
    """A central difference alone would return the mean of both slopes, without an error."""
    result = find_convergence_point(KINKS[name])
    assert isinstance(result, NotApplicable)
    assert "is not differentiable there" in result.reason


def test_two_slopes_of_the_update_are_no_learning_rate() -> None:
    leaky = Toy(lambda h, g: (h, -np.where(g > 0, 0.115, 0.1) * g))
    result = measure_momentum(find_convergence_point(leaky))
    assert isinstance(result, NotApplicable)
    assert "the update is not differentiable by the gradient" in result.reason


def test_what_is_smooth_has_no_kink() -> None:
    """Curvature at rest, soft clips made of |g|, and powers with a derivative are no kinks."""
    for new in (
        lambda h, g: 0.9 * h + g + 100 * g**2,
        lambda h, g: 0.9 * h + g / (1 + np.abs(g)),
        lambda h, g: 0.9 * h + g + np.abs(g) ** 1.5,
        lambda h, g: 0.9 * h + np.tanh(1e3 * g) / 1e3,
    ):
        result = measure_momentum(find_convergence_point(scalar_toy(new)))
        assert isinstance(result, MomentumResult), result
        assert result.index == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("angle", np.linspace(0.02, 3.1, 12))
def test_an_integrator_never_ends_however_its_coordinates_round(angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for M in (turn @ np.diag([1.0, 0.5]) @ turn.T, turn):
        result = measure_momentum(find_convergence_point(linear(M, turn @ np.ones(2))))
        assert isinstance(result, NotApplicable)
        assert "never ends" in result.reason


def test_a_state_that_dies_out_more_and_more_slowly_has_no_momentum() -> None:
    cubic = Toy(lambda h, g: (h - 0.1 * h**3 + 0.1 * g[:, None], -0.1 * (h[:, 0] + g)), 0.5)
    assert isinstance(measure_momentum(find_convergence_point(cubic)), NotApplicable)


def test_slow_momentum_has_an_index_all_the_same() -> None:
    result = measure_momentum(find_convergence_point(scalar_toy(lambda h, g: 0.99999 * h + g)))
    assert isinstance(result, MomentumResult)
    assert result.index == pytest.approx(0.99999, abs=1e-9)


@pytest.mark.parametrize("radius", [1.0, 1.001])
def test_what_turns_for_ever_neither_reaches_the_point_nor_settles(radius: float) -> None:
    M = radius * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    turning = linear(M, np.array([1.0, 0.0]))
    starts = 1e-3 * np.random.default_rng(0).standard_normal((20, 2))
    point = find_convergence_point(turning, starts)
    assert isinstance(point, ConvergencePointResult)
    assert not point.stable
    assert point.other_starts_at_this_point == 0
    result = measure_adaptation(turning, point, STATISTICS)
    assert isinstance(result, AdaptationResult)
    assert not np.any(result.settled)
    assert np.all(result.adapted.cycling)
    assert not np.any(result.exact.stable)


def test_modes_that_cannot_be_told_apart_have_no_contributions() -> None:
    """Two averages in series with the same decay: A has a single eigenvector."""
    averages = np.array([[0.9, 0.0], [0.09, 0.9]])
    result = measure_momentum(find_convergence_point(linear(averages, np.array([1.0, 0.1]))))
    assert isinstance(result, MomentumResult)
    assert all(np.isnan(mode.contribution) for mode in result.modes)
    assert [mode["contribution"] for mode in result.model_dump(mode="json")["modes"]] == [
        None,
        None,
    ]


def test_at_a_corner_there_is_no_slope_and_beside_it_there_is() -> None:
    clip = Toy(lambda h, g: (h, -0.1 * np.clip(g, -1, 1)))
    g = np.array([-1.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(
        usable_slope(clip, np.zeros((4, 0)), g), [np.nan, -0.1, np.nan, 0.0], atol=1e-9
    )


def test_what_only_large_gradients_move_is_no_constant() -> None:
    """The random gradients go beyond the largest gradient of real runs."""
    triggered = scalar_toy(lambda h, g: np.where(np.abs(g) > 2e3, 1.0, h))
    assert [variable.index for variable in frozen_variables(triggered, 1e3)] == [0]
    assert frozen_variables(triggered, 3.5e3) == ()


def frozen_variables(optimizer: Toy, largest: float) -> tuple[FrozenVariable, ...]:
    result = freeze_counters(optimizer, largest)
    assert not isinstance(result, NotApplicable)
    return result[1]


class BySign(Toy):
    """g/|g|: the update without a gradient is not a number."""

    def __init__(self) -> None:
        super().__init__(lambda h, g: (h, -0.1 * g / np.abs(g)))


class PrintsSteps(Toy):
    """Prints as it steps."""

    def __init__(self) -> None:
        super().__init__(self.step_rule)

    def step_rule(self, state: Array, gradient: Array) -> tuple[Array, Array]:
        print("step")
        return state, -0.1 * gradient


class ExitsProcess(Toy):
    """Ends the process."""

    def __init__(self) -> None:
        super().__init__(lambda h, g: sys.exit(3))


def analyze(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["loptbench", "analyze", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    out, err = capsys.readouterr()
    return int(exit_info.value.code or 0), out, err


@pytest.mark.parametrize(
    "optimizer", ["sgd:alpha=100", f"{__name__}:BySign", f"{__name__}:PrintsSteps"]
)
def test_json_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], optimizer: str
) -> None:
    """Even if the optimizer diverges, returns NaN, or prints."""
    code, out, err = analyze(monkeypatch, capsys, optimizer, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert set(result) >= {"convergence_point", "momentum", "clipping", "schedule", "adaptation"}
    if optimizer.endswith("BySign"):
        assert result["convergence_point"]["update"] is None
        assert "not finite" in result["momentum"]["not_applicable"]


@pytest.mark.parametrize(("optimizer", "n_blown"), [("sgd:alpha=0.1", 0), ("sgd:alpha=500", 64)])
def test_the_table_says_what_it_ran_on_and_what_blew_up(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    optimizer: str,
    n_blown: int,
) -> None:
    _, out, _ = analyze(monkeypatch, capsys, optimizer, "--seed", "3")
    _, conditions, *_ = out.splitlines()
    assert conditions.startswith("on 64 problems of quadratic, seed 3, 201 steps each")
    assert (f"{n_blown} of them blew up" in conditions) == bool(n_blown)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (f"{__name__}:Toy", "is a class, to be called without arguments, and that failed: TypeErr"),
        (f"{__name__}:ExitsProcess", "failed while it was run: SystemExit: 3"),
        ("adm:alpha=0.1", "no baseline 'adm'; there are adam, momentum, nesterov, rmsprop, sgd"),
        ("sgd:alpha=0.1,alpha=0.2", "sgd takes alpha: give sgd:alpha=0.1"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    optimizer: str,
    message: str,
) -> None:
    code, _, err = analyze(monkeypatch, capsys, optimizer)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
