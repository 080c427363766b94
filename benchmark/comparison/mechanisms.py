"""The numbers of the mechanisms of two stores side by side."""

from typing import TYPE_CHECKING

import numpy as np

from loptbench.comparison.pairs import differ, paired
from loptbench.comparison.store_view import StoreView
from loptbench.results.frames.mechanisms import NO_NUMBER

if TYPE_CHECKING:
    from pandas import DataFrame

WORDS = {
    ("convergence_point", "spectral_radius", ""): "spectral radius",
    ("convergence_point", "other_starts_at_this_point", ""): "share of other starts there",
    ("convergence_point", "share_at_point", "10T"): "share of starts near it, 10 T steps",
    ("momentum", "index", ""): "momentum index",
    ("momentum", "effective_rate", ""): "effective rate",
    ("momentum", "asymptotic_rate", ""): "asymptotic rate",
    ("momentum", "r2_last", ""): "r2 last T of 5 T steps",
    ("momentum", "r2_near_convergence", ""): "r2 near convergence",
    ("momentum", "r2_whole_run", ""): "r2 whole run",
    ("clipping", "half_saturation", ""): "half-saturation at h*",
    ("clipping", "half_saturation_at_h0", ""): "half-saturation at h0",
    ("clipping", "reach", ""): "reach",
    ("clipping", "reach_at_h0", ""): "reach at h0",
    ("clipping", "engagement", ""): "engagement",
    ("clipping", "saturation_loss", "T"): "saturation loss",
    ("clipping", "largest_gradient", ""): "largest gradient",
    ("schedule", "peak_step", ""): "peak step",
    ("schedule", "peak_over_first", ""): "peak over first",
    ("schedule", "last_over_peak", ""): "last over peak",
    ("schedule", "lowest_over_highest", ""): "lowest over highest",
    ("adaptation", "ratio", "T"): "adaptation ratio",
    ("adaptation", "ratio", "2T"): "adaptation ratio, 2 T steps",
    ("adaptation", "ratio", "exact"): "adaptation ratio, fixed points",
    ("adaptation", "elasticity", ""): "elasticity",
    ("adaptation", "rank_correlation", ""): "rank correlation",
}
"""The numbers compared, by probe, quantity and horizon; others are errors or in figures."""

ARM_WORDS = {"": "", "negative": ", g < 0", "positive": ", g > 0"}

NUMBER = ["probe", "quantity", "horizon"]
QUANTITY = [*NUMBER, "arm", "label"]


def mechanism_numbers(a: StoreView, b: StoreView) -> "DataFrame":
    """The numbers that either store has of what both measured, the largest differences first.

    Returns: a row for each number, with the columns of `paired`, `probe`, `quantity`,
        `horizon`, `arm`, and

            label               the optimizer in words
            words               what the number is
            value_a, value_b    the number; NaN if there is none
            reason_a, …         why there is none
            difference          B's minus A's
            differs             whether four digits show the difference, or one is missing
    """
    rows = [_compared(view.frame("mechanisms")) for view in (a, b)]
    table = paired(a, b, "mechanisms", rows, QUANTITY)
    values = table[["value_a", "value_b"]]
    quantities = table[[*NUMBER, "arm"]].itertuples(index=False)
    table = table.assign(
        words=[WORDS[tuple(number)] + ARM_WORDS[arm] for *number, arm in quantities],
        difference=table["value_b"] - table["value_a"],
        differs=differ(table["value_a"], table["value_b"]),
    )[values.notna().any(axis=1)]
    relative = table["difference"].abs() / values.abs().max(axis=1).replace(0.0, 1.0)
    relative = relative.where(table["differs"], 0.0).fillna(np.inf)
    order = relative[table.index].sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _compared(numbers: "DataFrame") -> "DataFrame":
    """The numbers that are compared; of the starts at the convergence point, their share."""
    n_starts = numbers[numbers["quantity"] == "other_starts"].set_index("record")["value"]
    quantities = numbers[NUMBER].itertuples(index=False, name=None)
    chosen = numbers[np.array([quantity in WORDS for quantity in quantities], bool)]
    share = chosen["value"] / chosen["record"].map(n_starts).astype("float64").replace(0.0, np.nan)
    value = chosen["value"].mask(chosen["quantity"] == "other_starts_at_this_point", share)
    reason = chosen["reason"]
    return chosen.assign(
        value=value.where(np.isfinite(value)),
        reason=reason.where(reason.isin(["", NO_NUMBER]), "not applicable: " + reason),
    )[["record", *QUANTITY, "value", "reason"]]
