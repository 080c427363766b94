"""The numbers of the mechanisms of two stores side by side."""

from typing import TYPE_CHECKING

import numpy as np

from loptbench.comparison.pairs import SAME_RECORDS, differ, paired_trials, side_by_side
from loptbench.comparison.store_view import StoreView, optimizer_label
from loptbench.results.frames.mechanisms import NO_NUMBER

if TYPE_CHECKING:
    from pandas import DataFrame, Series

WORDS = {
    ("convergence_point", "spectral_radius"): "spectral radius",
    ("convergence_point", "other_starts_at_this_point"): "share of other starts there",
    ("momentum", "index"): "momentum index",
    ("momentum", "effective_rate"): "effective rate",
    ("momentum", "asymptotic_rate"): "asymptotic rate",
    ("momentum", "r2_near_convergence"): "r2 near convergence",
    ("momentum", "r2_whole_run"): "r2 whole run",
    ("clipping", "half_saturation"): "half-saturation at h*",
    ("clipping", "reach"): "reach",
    ("clipping", "engagement"): "engagement",
    ("clipping", "largest_gradient"): "largest gradient",
    ("schedule", "peak_step"): "peak step",
    ("schedule", "peak_over_first"): "peak over first",
    ("schedule", "last_over_peak"): "last over peak",
    ("schedule", "lowest_over_highest"): "lowest over highest",
    ("adaptation", "elasticity"): "elasticity",
    ("adaptation", "rank_correlation"): "rank correlation",
}
"""The numbers that are compared, by probe and quantity. Others are errors or lie in the figures."""

ARM_WORDS = {"": "", "negative": ", g < 0", "positive": ", g > 0"}

QUANTITY = ["probe", "quantity", "arm"]


def mechanism_numbers(a: StoreView, b: StoreView) -> "DataFrame":
    """The numbers that either store has of what both measured, the largest differences first.

    Returns: a row for each number, with the columns of `paired_trials`, `probe`, `quantity`, `arm`,
        and

            label               the optimizer in words
            words               what the number is
            value_a, value_b    the number; NaN if there is none
            reason_a, …         why there is none
            difference          B's minus A's
            differs             whether four digits show the difference, or one is missing
    """
    trials = paired_trials(a, b, "mechanisms")
    sides = []
    for view, side in ((a, "a"), (b, "b")):
        numbers = _compared(view.frame("mechanisms"))
        names = {"record": f"record_{side}"}
        chosen = numbers[["record", *QUANTITY, "value", "reason"]].rename(columns=names)
        sides.append(trials.merge(chosen, on=f"record_{side}"))
    table = side_by_side(*sides, on=[*SAME_RECORDS, *QUANTITY])
    table = table[np.isfinite(table["value_a"]) | np.isfinite(table["value_b"])]
    finite = {
        side: table[f"value_{side}"].where(np.isfinite(table[f"value_{side}"])) for side in "ab"
    }
    difference = finite["b"] - finite["a"]
    size = np.maximum(finite["a"].abs(), finite["b"].abs()).replace(0.0, 1.0)
    differs = differ(finite["a"], finite["b"])
    table = table.assign(
        value_a=finite["a"],
        value_b=finite["b"],
        difference=difference,
        differs=differs,
        label=list(map(optimizer_label, table["role"], table["optimizer"])),
        words=[
            WORDS[probe, quantity] + ARM_WORDS[arm]
            for probe, quantity, arm in table[QUANTITY].itertuples(index=False)
        ],
    )
    relative = (difference.abs() / size).where(differs, 0.0).fillna(np.inf)
    order = relative.sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _compared(numbers: "DataFrame") -> "DataFrame":
    """The numbers that are compared; of the starts at the convergence point, their share."""
    is_compared = [key in WORDS for key in zip(numbers["probe"], numbers["quantity"], strict=True)]
    n_starts = numbers[numbers["quantity"] == "other_starts"].set_index("record")["value"]
    chosen = numbers[np.array(is_compared, bool)]
    is_starts = chosen["quantity"] == "other_starts_at_this_point"
    share = chosen["value"] / chosen["record"].map(n_starts).replace(0.0, np.nan)
    return chosen.assign(
        value=chosen["value"].mask(is_starts, share), reason=_reasons(chosen["reason"])
    )


def _reasons(reasons: "Series") -> "Series":
    """Why there is no number: the reason of the probe, or that the number is not finite."""
    return reasons.map(
        lambda reason: reason if reason in ("", NO_NUMBER) else f"not applicable: {reason}"
    )
