"""Figures of small frames: every optimizer, identical bytes, curves with gaps, empty frames."""

import math
from typing import Any

import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

import pandas as pd

from loptbench.reports.page.elements import Figure
from loptbench.reports.plots import evaluations, training
from loptbench.reports.plots.canvas import series
from loptbench.reports.plots.momentum import MOMENTUM
from loptbench.reports.plots.schedule import SCHEDULE

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
            rows.append({**about, column: step, quantity: value, **more})
    return pd.DataFrame(rows)


def loss_curves(curves: pd.DataFrame) -> Figure | None:
    means = {"objective_mean": 0.5, "objective_standard_error": 0.1, "n_problems": 3}
    numbers = frame("step", "loss_mean", **means).drop_duplicates(["role", "optimizer"])
    return evaluations.loss_curves(curves, numbers, "quadratic", "loptbench report")


def curves() -> pd.DataFrame:
    return frame("step", "loss_mean", loss_standard_error=0.01, n_problems=128)


def drawn(figure: Figure | None) -> str:
    assert figure is not None
    return "".join(panel.svg for panel in figure.panels)


def test_a_control_is_not_the_tuned_optimizer_of_its_name() -> None:
    data = series(curves())
    assert set(data.series) == {"learned", "sgd", "momentum", "control"}
    assert (data.groupby(["optimizer", "step"]).size() == 1).all()


def test_loss_curves_show_every_optimizer_and_name_their_axes() -> None:
    figure = loss_curves(curves())
    svg = drawn(figure)
    assert figure is not None
    for label in ("inner step", "loss / first loss"):
        assert label in svg
    for name in ("learned", "sgd", "momentum"):
        assert name in figure.legend
    assert "quadratic-a in jax" in figure.alternative


def test_the_same_frame_gives_the_same_bytes() -> None:
    assert drawn(loss_curves(curves())) == drawn(loss_curves(curves()))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_curve_may_have_gaps(value: float) -> None:
    data = curves()
    data.loc[data.step > 2, ["loss_mean", "loss_standard_error"]] = value
    assert "inner step" in drawn(loss_curves(data))


def test_an_empty_frame_gives_no_figure() -> None:
    assert loss_curves(curves().iloc[:0]) is None
    log = frame("outer_step", "validation").iloc[:0]
    assert training.meta_training(log, "quadratic", ["jax"], "loptbench report") is None
    frames = {"schedules": frame("step", "rate", pc1=0.0, pc2=0.0).iloc[:0].assign(states="")}
    assert SCHEDULE.draw(frames, "", "loptbench report") is None


def test_momentum_names_its_axes() -> None:
    responses = frame("lag", "response")
    modes = frame("mode", "eigenvalue_real", eigenvalue_imag=0.0)
    figure = MOMENTUM.draw({"impulse_responses": responses, "modes": modes}, "", "loptbench")
    svg = drawn(figure)
    assert "steps after the impulse" in svg
    assert "imaginary part" in svg
