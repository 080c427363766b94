"""Figures of small frames: every optimizer, identical bytes, curves with gaps, empty frames."""

import math
from typing import Any

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

import numpy as np
import pandas as pd

from loptbench.reports.page.elements import Figure
from loptbench.reports.plots import evaluations, styles, training
from loptbench.reports.plots.agreement import agreement_map
from loptbench.reports.plots.canvas import Canvas, series
from loptbench.reports.plots.momentum import MOMENTUM
from loptbench.reports.plots.schedule import SCHEDULE
from loptbench.tests.reports.pages import whole

OPTIMIZERS = (
    ("checkpoint", "quadratic-a", "jax"),
    ("tuned", "sgd", ""),
    ("tuned", "momentum", ""),
    ("control", "momentum", ""),
    ("control", "sgd", ""),
)
N_STEPS = 5


def frame(column: str, quantity: str, **more: float) -> pd.DataFrame:
    """A curve from 1 to 1/5 of each optimizer, the control's ten times as high."""
    rows = []
    for role, optimizer, trained_by in OPTIMIZERS:
        for step in range(N_STEPS):
            value = (10.0 if role == "control" else 1.0) / (step + 1)
            about: dict[str, Any] = {"implementation": "jax", "task": "quadratic", "role": role}
            about |= {"optimizer": optimizer, "dtype": "float64", "trained_by": trained_by}
            about["preset"] = "quick" if trained_by else ""
            rows.append({**about, column: step, quantity: value, **more})
    return pd.DataFrame(rows)


def loss_curves(curves: pd.DataFrame) -> Figure | None:
    means = {"objective_mean": 0.5, "objective_standard_error": 0.1, "n_problems": 3}
    numbers = frame("step", "loss_mean", **means).drop_duplicates(["role", "optimizer"])
    return evaluations.loss_curves(curves, numbers, {}, "loptbench report")


def curves() -> pd.DataFrame:
    return frame("step", "loss_mean", loss_standard_error=0.01, n_problems=128)


def drawn(figure: Figure | None) -> str:
    assert figure is not None
    return "".join(whole(panel) for panel in figure.panels)


def test_a_control_is_not_the_tuned_optimizer_of_its_name() -> None:
    data = series(curves())
    assert set(data.series) == {"learned", "sgd", "momentum", "control"}
    assert (data.groupby(["optimizer", "step"]).size() == 1).all()


def test_loss_curves_show_every_optimizer_and_name_their_axes() -> None:
    figure = loss_curves(curves())
    svg = drawn(figure)
    assert figure is not None
    for label in ("inner step", "first loss"):
        assert label in figure.caption
    assert [key.name for key in figure.legend] == ["learned", "sgd", "momentum"]
    for name in ("learned", "sgd", "momentum"):
        assert f'data-series="{name}"' in svg
        assert f">{name}<" in svg  # beside its curve
    assert "quadratic-a on quadratic in jax" in figure.alternative


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert drawn(loss_curves(curves())) == drawn(loss_curves(curves()))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_curve_may_have_gaps(value: float) -> None:
    data = curves()
    data.loc[data.step > 2, ["loss_mean", "loss_standard_error"]] = value
    assert 'data-series="learned"' in drawn(loss_curves(data))


def test_the_median_of_mostly_diverged_seeds_does_not_fall() -> None:
    data = curves()
    learned = data[data.role == "checkpoint"]
    seeds = [learned.assign(optimizer=f"quadratic-{i}") for i in range(3)]
    for diverged in seeds[:2]:  # an infinite number is no number in a record
        diverged.loc[diverged.step > 2, "loss_mean"] = math.nan
    canvas = Canvas("quadratic", 2.0)
    shown = [styles.OPTIMIZERS[0]]
    together = pd.concat([data[data.role == "tuned"], *seeds]).assign(size="quick")
    evaluations._panel(canvas, series(together).assign(size="quick"), shown, [], ["quick"])
    heights = [line.get_ydata() for line in canvas.axes.lines if line.get_linewidth() > 2]
    [median] = [np.asarray(height, float) for height in heights]
    assert (median[3:] > evaluations.MAX_LOSS_SHOWN).all()
    assert (median[:3] <= 1).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_log_without_a_finite_validation_is_drawn(value: float) -> None:
    log = frame("outer_step", "validation").assign(objective=1.0)
    log.loc[log.optimizer == "sgd", "validation"] = value
    log = log.assign(optimizer="quadratic-" + log.optimizer + "-" + log.role, preset="quick")
    assert training.meta_training(log, ["jax"], "loptbench report") is not None


def test_a_check_that_is_not_finite_is_the_largest_error() -> None:
    checks = pd.DataFrame(
        {"implementation": "jax", "task": "quadratic", "level": [1, 3], "ratio": [0.5, math.inf]}
    )
    figure = agreement_map(checks, "loptbench report")
    assert figure is not None
    assert "The largest is ∞: level 3" in figure.alternative
    assert ">∞<" in drawn(figure)


def test_an_empty_frame_gives_no_figure() -> None:
    assert loss_curves(curves().iloc[:0]) is None
    log = frame("outer_step", "validation").iloc[:0]
    assert training.meta_training(log, ["jax"], "loptbench report") is None
    frames = {"schedules": frame("step", "rate", pc1=0.0, pc2=0.0).iloc[:0].assign(states="")}
    assert SCHEDULE.draw(frames, "", "loptbench report") is None


def test_momentum_names_its_axes() -> None:
    responses = frame("lag", "response")
    modes = frame("mode", "eigenvalue_real", eigenvalue_imag=0.0, contribution=1.0)
    tuning = pd.DataFrame({"task": "quadratic", "baseline": ["momentum"], "value": 0.5})
    frames = {"impulse_responses": responses, "modes": modes}
    frames["tuning"] = tuning.assign(hyperparameter="beta")
    updates = frame("gradient", "update", at=0.0, update_at_zero=0.0).assign(curve="other")
    frames["updates_along_curves"] = updates
    figure = MOMENTUM.draw(frames, "", "loptbench")
    assert figure is not None
    titles = " ".join(row.title for row in figure.rows)
    assert "steps t after the impulse" in titles
    assert "imaginary against real part" in titles
    assert ">β<" in figure.rows[1].panels[0].svg  # type: ignore[union-attr]
