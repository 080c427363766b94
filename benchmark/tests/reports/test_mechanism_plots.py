"""Figures of the mechanisms, drawn from made results: what is drawn, marked and written beside."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

pytest.importorskip("seaborn", reason="the report extra is not installed")

import pandas as pd

from loptbench.reports.page.elements import Figure
from loptbench.reports.plots.adaptation import ADAPTATION
from loptbench.reports.plots.clipping import CLIPPING
from loptbench.reports.plots.convergence import CONVERGENCE
from loptbench.reports.plots.mechanisms import ProbeFigure
from loptbench.reports.plots.momentum import MOMENTUM
from loptbench.reports.plots.schedule import SCHEDULE
from loptbench.reports.plots.styles import ARMS, PAPER
from loptbench.results.frames import Contents, frame_of
from loptbench.results.schema.mechanisms import Density
from loptbench.tests.reports.made_mechanisms import (
    adaptation,
    clipping,
    schedule,
    update_function,
    views,
)
from loptbench.tests.reports.made_records import mechanisms
from loptbench.tests.reports.pages import whole

pytestmark = pytest.mark.harness

RATES = "Rate η(g) of one learned optimizer"


def drawn(figure: ProbeFigure, **probes: Any) -> Figure:
    """The figure of a made analysis; `probes` replaces its results."""
    contents = Contents([mechanisms(**probes)])
    frames: Mapping[str, pd.DataFrame] = {name: frame_of(contents, name) for name in figure.frames}
    made = figure.draw(frames, "", "loptbench report")
    assert made is not None
    return made


def panel(figure: Figure, title: str) -> str:
    """The drawing of the only panel of a row."""
    (row,) = (row for row in figure.rows if title in row.title)
    (part,) = row.panels
    assert part is not None
    return whole(part)


def n_markers(svg: str, colour: str) -> int:
    """How many markers of one fill a drawing uses."""
    filled = re.findall(r'<use [^>]*style="fill: ([^;"]*)', svg)
    return sum(f"{colour})" in fill or fill == colour for fill in filled)


def test_adaptation_marks_the_gradients_between_which_it_is_judged() -> None:
    figure = drawn(ADAPTATION)
    for title in ("for g < 0", "for g > 0", RATES):
        assert {"q50", "q99"} <= set(re.findall(r">(q\d\d)<", panel(figure, title)))
    unknown = adaptation(typical_gradient=np.nan, large_gradient=np.nan)
    assert "q50" not in panel(drawn(ADAPTATION, adaptation=unknown), RATES)


def test_unstable_fixed_points_are_hollow_and_missing_ones_are_not_drawn() -> None:
    whole = adaptation()

    def hollow(**changes: Any) -> int:
        exact = whole.exact.model_copy(update=changes)
        made = drawn(ADAPTATION, adaptation=whole.model_copy(update={"exact": exact}))
        return n_markers(panel(made, RATES), PAPER)

    none = np.zeros(4, bool)
    gone = np.array([np.nan, 0.0, 0.0, 0.0])
    rate = np.array([np.nan, 2.0, 2.0, 1.0])
    assert hollow() == 0
    assert hollow(stable=none) == 4
    assert hollow(stable=none, residual=gone, rate_reference=rate) == 3


def test_what_still_changes_and_what_cycles_is_marked() -> None:
    """Crosses and plus signs are strokes without a fill, one definition for each arm."""
    whole = adaptation()

    def n_definitions(**changes: Any) -> int:
        adapted = whole.adapted.model_copy(update=changes)
        made = drawn(ADAPTATION, adaptation=whole.model_copy(update={"adapted": adapted}))
        return panel(made, RATES).count("<use ")

    still = np.zeros(4)
    unmarked = n_definitions(remaining_change=still)
    assert n_definitions(remaining_change=still + 0.06) == unmarked + 4
    assert n_definitions(remaining_change=still, cycling=np.ones(4, bool)) == unmarked + 4


def test_the_legend_of_adaptation_says_what_is_what() -> None:
    legend = [key.name for key in drawn(ADAPTATION).legend]
    for words in (
        *(arm.name for arm in ARMS),
        "after 2 T steps",
        "rate at q50, q99",
        "stable fixed point",
        "unstable fixed point",
        "rate still changes",
        "cycles",
    ):
        assert words in legend


def test_the_adapted_states_are_in_the_numbers_of_the_figure() -> None:
    states = drawn(ADAPTATION).data
    assert states.states.tolist() == ["adapted"] * 4
    assert states.remaining_change.notna().sum() == 4


def test_the_axes_of_the_s_curve_say_what_they_explain() -> None:
    svg = panel(drawn(ADAPTATION), "S-curve")
    assert len(re.findall(r">PC [12]: \d+%<", svg)) == 2


def test_the_schedule_is_drawn_at_the_states_met_with_its_quartiles() -> None:
    title = "Rate η[t] of one learned optimizer"
    alone = drawn(SCHEDULE, schedule=schedule(1).model_copy(update={"met": None}))
    both = drawn(SCHEDULE)
    assert panel(both, title).count("fill-opacity: 0.25") == 1
    assert "fill-opacity" not in panel(alone, title)
    assert set(both.data.states) == {"autonomous", "met"}
    assert set(alone.data.states) == {"autonomous"}


def test_the_states_met_do_not_change_the_curve_without_gradients() -> None:
    with_met, without = (
        drawn(SCHEDULE, schedule=schedule(1).model_copy(update=changes))
        for changes in ({}, {"met": None})
    )
    title = "Rate without a gradient"
    assert panel(with_met, title) == panel(without, title)


def test_saturation_is_drawn_and_marked_at_each_state() -> None:
    def count(what: str, *states: tuple[str, float]) -> int:
        functions = tuple(update_function(where, [half, half]) for where, half in states)
        made = clipping().model_copy(update={"states": functions})
        return panel(drawn(CLIPPING, clipping=made), "Update u(g) of one").count(what)

    point, others = ("h*", 1.0), (("h0", 1.0), ("step 1 of component 0", np.inf))
    # A curve for each, and a mark for each arm that reaches half-saturation.
    assert count("clip-path=", point, *others) == count("clip-path=", point) + 2
    assert count("<use", point, *others) == count("<use", point) + 2


@pytest.mark.parametrize(
    ("figure", "title", "n_lines"),
    [
        (CONVERGENCE, "The same around the convergence point", 2),
        (MOMENTUM, "along its strongest mode", 3),
        (ADAPTATION, "at states h of its S-curve", 3),
    ],
    ids=["paths", "mode", "curve"],
)
def test_views_are_drawn_and_old_records_say_that_they_have_none(
    figure: ProbeFigure, title: str, n_lines: int
) -> None:
    with_views, without = drawn(figure, views=views()), drawn(figure)
    lines = re.findall(r"<path [^>]*data-seed=[^>]*clip-path=", panel(with_views, title))
    assert len(lines) == n_lines
    assert title not in with_views.caption
    assert not any(title in row.title for row in without.rows)
    assert title in without.caption.partition("Not in these records: ")[2]


def test_every_pair_of_principal_components_says_what_it_explains() -> None:
    svg = panel(drawn(CONVERGENCE, views=views()), "The same around")
    assert re.findall(r">(PC [12]: \d+%)<", svg) == ["PC 1: 75%", "PC 2: 25%"]


def test_the_density_of_gradients_lies_under_the_update_functions() -> None:
    spread = Density(edges=np.linspace(-1, 0.25, 6), share=np.full((2, 5), 0.1))
    title = "Update u(g) of one"
    dense = drawn(CLIPPING, clipping=clipping().model_copy(update={"density": spread}))
    assert "fill-opacity: 0.15" in panel(dense, title)
    assert "fill-opacity" not in panel(drawn(CLIPPING), title)  # one bin is no density
