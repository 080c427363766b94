"""The frames of adaptation and schedule: one row per state, of every kind of states."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from loptbench.results.frames import Contents, frame_of
from loptbench.results.frames.adaptation import NOT_SETTLED
from loptbench.tests.reports.made_mechanisms import adaptation, schedule
from loptbench.tests.reports.made_records import mechanisms

pytestmark = pytest.mark.harness


def rows(states: str, **probes: Any) -> pd.DataFrame:
    """The rows of one kind of states in the frame `adaptation`."""
    table = frame_of(Contents([mechanisms(**probes)]), "adaptation")
    return table[table.states == states].reset_index(drop=True)


def test_each_gradient_has_a_row_for_each_kind_of_states() -> None:
    table = frame_of(Contents([mechanisms()]), "adaptation")
    sizes = table.groupby(["states", "gradient"]).size()
    assert sorted(set(table.states)) == ["adapted", "exact", "settled"]
    assert (sizes == 1).all()
    assert len(sizes) == 3 * 4


def test_adapted_states_tell_both_horizons_and_nothing_of_fixed_points() -> None:
    table = rows("adapted")
    assert (table.rate_reference_2T / table.rate_reference).tolist() == [0.5] * 4
    assert table.remaining_change.tolist() == [0.5] * 4
    assert table.cycling.tolist() == [False] * 4
    assert table[["residual", "spectral_radius", "stable", "several"]].isna().all(axis=None)


def test_a_gradient_without_a_fixed_point_keeps_its_row_and_says_why() -> None:
    whole = adaptation()
    exact = whole.exact.model_copy(
        update={
            "residual": np.array([np.nan, 0.0, 0.0, 0.0]),
            "rate_reference": np.array([np.nan, 2.0, 2.0, 1.0]),
            "stable": np.array([False, False, True, True]),
            "reason": ("Newton does not converge", "", "", ""),
        }
    )
    table = rows("exact", adaptation=whole.model_copy(update={"exact": exact}))
    assert table.gradient.tolist() == [-2.0, -1.0, 1.0, 2.0]
    assert table.reason.tolist() == ["Newton does not converge", "", "", ""]
    assert pd.isna(table.stable[0])
    assert table.stable[1:].tolist() == [False, True, True]
    assert table[["speed", "remaining_change", "cycling"]].isna().all(axis=None)


def test_states_of_edition_1_say_where_they_did_not_settle() -> None:
    settled = np.array([True, False, True, True])
    table = rows("settled", adaptation=adaptation(settled=settled))
    assert table.reason.tolist() == ["", NOT_SETTLED, "", ""]
    assert table.stable.isna().tolist() == [False, True, False, False]


def test_the_schedule_at_states_met_has_its_quartiles() -> None:
    table = frame_of(Contents([mechanisms()]), "schedules")
    autonomous, met = (table[table.states == states] for states in ("autonomous", "met"))
    assert autonomous.rate.tolist() == met.rate.tolist() == [1.0, 2.0, 1.5]
    assert autonomous[["low", "high"]].isna().all(axis=None)
    assert (met.high - met.low).tolist() == [0.5] * 3
    assert met.pc1.isna().all()


def test_a_schedule_that_was_not_met_has_only_the_autonomous_one() -> None:
    alone = schedule(1).model_copy(update={"met": None})
    table = frame_of(Contents([mechanisms(schedule=alone)]), "schedules")
    assert set(table.states) == {"autonomous"}
