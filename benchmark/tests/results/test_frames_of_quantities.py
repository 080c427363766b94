"""The frames `mechanisms` and `problems`: every number of a probe, by horizon and arm."""

import numpy as np
import pytest

from loptbench.results.frames import Contents, frame_of
from loptbench.results.frames.quantities import PROBES, quantities
from loptbench.results.schema.base import Result
from loptbench.results.schema.mechanisms import ExplainedResult, NotApplicable, SaturationResult
from loptbench.tests.reports import made_mechanisms
from loptbench.tests.reports.made_records import evaluation, mechanisms

pytestmark = pytest.mark.harness

MADE: dict[str, Result] = {
    "convergence_point": made_mechanisms.convergence_point(),
    "momentum": made_mechanisms.momentum(0.9),
    "clipping": made_mechanisms.clipping(),
    "schedule": made_mechanisms.schedule(1),
    "adaptation": made_mechanisms.adaptation(),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_has_the_same_quantities_whether_or_not_it_applies(probe: str) -> None:
    measured = [quantity[:3] for quantity in quantities(probe, MADE[probe])]
    absent = list(quantities(probe, NotApplicable(not_applicable="because")))
    assert [quantity[:3] for quantity in absent] == measured
    assert np.isnan([quantity.value for quantity in absent]).all()
    assert len(set(measured)) == len(measured)


@pytest.mark.parametrize(
    ("probe", "name", "horizon", "arm", "value"),
    [
        ("convergence_point", "share_at_point", "10T", "", 1.0),
        ("convergence_point", "share_nearer", "20T", "", 1.0),
        ("convergence_point", "other_places", "", "", 0.0),
        ("convergence_point", "coverage", "", "", 1.0),
        ("momentum", "r2_last", "", "", 0.875),
        ("clipping", "saturation_loss", "T", "", 0.25),
        ("clipping", "saturation_loss", "2T", "", 0.125),
        ("clipping", "half_saturation", "", "positive", 0.75),
        ("clipping", "half_saturation_at_h0", "", "negative", 9.0),
        ("schedule", "peak_over_first", "", "", 2.0),
        ("schedule", "last_over_peak", "2T", "", 0.75),
        ("schedule", "met_peak_step", "", "", 3.0),
        ("adaptation", "ratio", "2T", "positive", 0.5),
        ("adaptation", "ratio", "exact", "negative", 0.5),
        ("adaptation", "elasticity", "", "negative", -0.5),
        ("adaptation", "elasticity", "exact", "positive", -0.25),
        ("adaptation", "rank_met", "T", "negative", -1.0),
        ("adaptation", "adapted_order", "", "", 1.0),
        ("adaptation", "adapted_variance_1", "", "", 1.0),
        ("adaptation", "variance_2", "", "", 0.0),
        ("adaptation", "adapted_coverage", "", "", 1.0),
    ],
)
def test_the_frame_has_each_number_with_its_horizon(
    probe: str, name: str, horizon: str, arm: str, value: float
) -> None:
    table = frame_of(Contents([mechanisms()]), "mechanisms")
    rows = table[
        (table.probe == probe)
        & (table.quantity == name)
        & (table.horizon == horizon)
        & (table.arm == arm)
    ]
    assert rows.value.tolist() == [value]
    assert rows.reason.tolist() == [""]


def test_what_is_summed_by_problem() -> None:
    def explained(error: float) -> ExplainedResult:
        return ExplainedResult(error=np.array([error, 0.0]), variation=np.array([1.0, 2.0]))

    momentum = made_mechanisms.momentum(0.9).model_copy(
        update={"near": explained(0.1), "whole": explained(0.2), "last": explained(0.3)}
    )
    sums = SaturationResult(actual=np.array([1.0, 2.0]), linear=np.array([3.0, 4.0]))
    clipping = made_mechanisms.clipping().model_copy(
        update={
            "saturation": sums,
            "engagement_by_problem": np.array([0.5, 0.25]),
            "engagement_at_h0_by_problem": np.array([0.75, 1.0]),
        }
    )
    contents = Contents([evaluation(), mechanisms(momentum=momentum, clipping=clipping)])
    table = frame_of(contents, "problems")
    by_quantity = {name: rows.value.tolist() for name, rows in table.groupby("quantity")}
    del by_quantity["objective"]
    assert by_quantity == {
        "linear_error": [0.1, 0.0],
        "linear_error_whole": [0.2, 0.0],
        "linear_error_last": [0.3, 0.0],
        "linear_variation": [1.0, 2.0],
        "linear_variation_whole": [1.0, 2.0],
        "linear_variation_last": [1.0, 2.0],
        "engagement": [0.5, 0.25],
        "engagement_at_h0": [0.75, 1.0],
        "saturation_actual": [1.0, 2.0],
        "saturation_linear": [3.0, 4.0],
    }
    assert set(table.kind) == {"exploratory"}
    trials = frame_of(contents, "trials")
    assert set(trials.kind) == {"exploratory"}
