"""An analysis as text: every probe says what it measured, at which states, and what is missing."""

import re
from typing import Any

import numpy as np
import pytest

from loptbench.mechanisms.text import as_text
from loptbench.results.schema.mechanisms import Coverage, MechanismsResult
from loptbench.tests.reports.made_mechanisms import adaptation, clipping, momentum, schedule
from loptbench.tests.reports.made_records import mechanisms

pytestmark = pytest.mark.harness


def text(**probes: Any) -> str:
    """The text of a made analysis; `probes` replaces results."""
    result = mechanisms(**probes).result
    assert isinstance(result, MechanismsResult)
    return as_text("mine", result, "on 2 problems")


def test_convergence_and_linearity_name_their_horizons() -> None:
    words = text(momentum=momentum(0.5).model_copy(update={"r2_last": np.nan}))
    assert "states at h*, 10 T  100.0% within 1 %" in words
    assert "states at h*, 20 T  100.0% within 1 %" in words
    assert re.search(r"R² of linear, last T of 5 T +not defined", words)
    assert re.search(r"R² of linear, second half +0\.7500", words)


def test_the_saturation_loss_stands_beside_its_horizon() -> None:
    assert "25.00% over T, 12.50% over 2 T steps of runs" in text()
    unknown = clipping().model_copy(update={"saturation_loss": {"T": np.nan}})
    assert "saturation loss     n/a over T" in text(clipping=unknown)


def test_the_schedule_is_told_at_states_met_where_there_are_any() -> None:
    assert "at states of runs" in text()
    assert "half of the components between 1.25 and 1.75" in text()
    assert "at states of runs" not in text(schedule=schedule(1).model_copy(update={"met": None}))


def test_adaptation_tells_both_kinds_of_states_at_both_horizons() -> None:
    words = text(adaptation=adaptation(ratio={"T": np.array([0.5, 1.5]), "2T": np.ones(2)}))
    assert re.search(r"adaptation ratio, T +0\.5 +1\.5", words)
    assert re.search(r"adaptation ratio, 2 T +1 +1\n", words)
    assert re.search(r"exact fixed points: .*\n *adaptation ratio +0\.5 +0\.5", words)
    assert re.search(r"-2 +1 +0\.5 +50\.00% +1\n", words)


def test_cycling_and_unstable_states_are_marked() -> None:
    whole = adaptation()
    first = np.array([True, False, False, False])
    changed = {
        "adapted": whole.adapted.model_copy(update={"cycling": first}),
        "exact": whole.exact.model_copy(update={"stable": ~first}),
    }
    words = text(adaptation=whole.model_copy(update=changed))
    assert "the state moves in a cycle under 1 of 4 gradients, g = -2" in words
    assert re.search(r"not stable +1 of them, g = -2", words)
    assert re.search(r"-2 .* 1, cycling, not stable\n", words)


def test_a_gradient_without_a_fixed_point_keeps_its_adapted_rate() -> None:
    whole = adaptation()
    exact = whole.exact.model_copy(
        update={
            "residual": np.array([0.0, np.nan, 0.0, 0.0]),
            "rate_reference": np.array([1.0, np.nan, 2.0, 1.0]),
        }
    )
    words = text(adaptation=whole.model_copy(update={"exact": exact}))
    assert "found               under 3 of 4 gradients" in words
    assert re.search(r"-1 +2 +1 +50\.00% +none\n", words)


def test_what_is_missing_is_said_by_every_probe() -> None:
    part = Coverage(share=0.75, missing="at h0: no gain; 3 of 4 runs diverged")
    for name, probe in (
        ("momentum", momentum(0.5)),
        ("clipping", clipping()),
        ("schedule", schedule(1)),
        ("adaptation", adaptation()),
    ):
        words = text(**{name: probe.model_copy(update={"coverage": part})})
        assert words.count("coverage            75.0%") == 1
        assert "missing: at h0: no gain\n    missing: 3 of 4 runs diverged" in words


def test_where_all_was_measured_nothing_is_missing() -> None:
    assert "missing" not in text()
    assert "coverage" not in text()
