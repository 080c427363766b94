"""Panels: the same on used axes as on new ones, and their ticks and names where they belong."""

import re
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed")

from loptbench.reports.plots import drawing
from loptbench.reports.plots import styles as looks
from loptbench.reports.plots.drawing import Canvas
from loptbench.reports.plots.schematics import SCHEMATICS, schematic

LOOK = looks.optimizer("learned")


def curve() -> Canvas:
    canvas = Canvas("curve")
    canvas.line([0, 1, 2], [30, 10, 20], LOOK, "a")
    canvas.labels("k", "f < g & h")
    return canvas


def logarithmic() -> Canvas:
    canvas = Canvas("log", 1.4)
    canvas.line([1e6, 1e7, 1e8], [1e-3, 1, 1e3], LOOK, "a")
    canvas.log("x", "y")
    canvas.ax.set_ylim(1e-5, 1e5)
    return canvas


def upside_down() -> Canvas:
    canvas = Canvas("strip")
    canvas.ax.set(xlim=(-1, 1), ylim=(2, -2))
    canvas.ax.axvspan(-0.5, 0.5)
    canvas.ticks("y", [0, 1], ["first", "second"])
    return canvas


def points() -> Canvas:
    canvas = Canvas("points")
    canvas.ax.scatter(np.linspace(-40, 60, 9), np.linspace(1, 9, 9), c=np.arange(9))
    return canvas


def circle() -> Canvas:
    canvas = Canvas("circle")
    canvas.ax.plot([-1, 0, 1, 0], [0, 1, 0, -1])
    canvas.ax.set_aspect("equal", adjustable="datalim")
    return canvas


KINDS: list[Callable[[], Canvas]] = [
    curve,
    logarithmic,
    upside_down,
    points,
    circle,
    *(lambda task=task: schematic(task) for task in SCHEMATICS),
]


def test_used_axes_draw_what_new_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = []
    for kind in KINDS:
        monkeypatch.setattr(drawing, "_FREE", [])
        expected.append(kind().panel("a").svg)
    for order in (range(len(KINDS)), reversed(range(len(KINDS)))):
        for i in order:
            assert len(drawing._FREE) == 1
            assert KINDS[i]().panel("a").svg == expected[i]


def words(svg: str) -> dict[str, tuple[float, float]]:
    """Every word with where it stands, from the top left corner."""
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg)
    return {word: (float(x), float(y)) for x, y, word in found}


def test_ticks_stand_at_their_values() -> None:
    at = words(curve().panel("a").svg)
    assert at["0"][0] < at["0.5"][0] < at["2"][0]
    assert at["15"][1] > at["30"][1]  # larger is further up
    spacing = np.diff([at[word][0] for word in ("0", "0.5", "1")])
    np.testing.assert_allclose(spacing[0], spacing[1], atol=0.2)
    at = words(logarithmic().panel("a").svg)
    assert at["1e6"][0] < at["1e7"][0] < at["1e8"][0]
    at = words(upside_down().panel("a").svg)
    assert at["first"][1] < at["second"][1]


def test_names_of_axes_are_escaped() -> None:
    assert "f &lt; g &amp; h" in curve().panel("a").svg


def test_points_are_within_the_picture() -> None:
    svg = points().panel("a").svg
    x = [float(one) for one in re.findall(r'<use [^>]*x="([-\d.]+)"', svg)]
    assert len(x) == 9
    assert min(x) > 0
    assert max(x) < 72 * drawing.WIDTH
