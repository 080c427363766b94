"""Compare the results in a store with the shipped reference results.

What is compared is what is the same on both sides: the same problems, weights or hyperparameters,
implementation, device and dtype, and verdicts on the same seeds. On another machine, or with other
versions, only rounding differs. Trained optimizers and baselines near the edge of stability magnify
rounding, so that a mean may move. It agrees if it moves by less than other problems would move it:

    |mean − reference mean|             ≤ 1.96 · standard error of the reference mean
    |diverged runs − those of reference| ≤ 1.96 · √(n p (1 − p)),   p = their share in the reference

Runs and means are held to the reference implementation and to each other besides, with far smaller
bounds; the frames `comparisons` and `means` have those.
"""

import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np

from loptbench.comparison.pairs import differ
from loptbench.reference_results.tables import About, about, evaluations, facts_of, table
from loptbench.results.frames import Contents, frame_of
from loptbench.results.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

WIDTH = 1.96
"""Half the width of a 95 % interval of a normal distribution, in standard errors."""

RUN = ["implementation", "task", "role", "optimizer", "dtype", "n_problems"]
IDENTITY = [*RUN, "seed", "device", "problems", "subject"]
"""What an evaluation is of, and how it was made."""

MEASURED = ["task", "role", "optimizer", "seed", "problems", "subject"]
"""What an evaluation is of."""

VERDICT = ["edition", "kind", "claim", "task", "scope", "checkpoint", "preset", "implementations"]
SUBJECT = [*VERDICT, "seeds"]
"""What a verdict is on."""

SAME, WITHIN, OUTSIDE = "the same to four digits", "within the bound", "outside the bound"


@dataclasses.dataclass(frozen=True)
class ReferenceComparison:
    """The results in a store beside the reference results.

    Attributes:
        objectives: a row for each optimizer evaluated on both sides: what it is; `mean` and
            `n_diverged` here, `reference_mean` and `reference_diverged`; the `bound` of the mean,
            and of the number of diverged runs, `diverged_bound`; and `agreement`, one of "the same
            to four digits", "within the bound" and "outside the bound".
        verdicts: a row for each verdict on both sides: what it is on; `title`; `words` and `value`
            here, `reference_words` and `reference_value`; and whether the outcome is the `same`.
        n_other: the number of evaluations here that the reference results do not have.
        n_on_other_problems: how many of these they have on another number of problems.
        about: where the reference results come from.
        facts: versions, platform and processor here.
    """

    objectives: "DataFrame"
    verdicts: "DataFrame"
    n_other: int
    n_on_other_problems: int
    about: About
    facts: dict[str, str]

    @property
    def agrees(self) -> bool:
        """Whether nothing that was compared disagrees."""
        return bool(self.verdicts["same"].all() and (self.objectives["agreement"] != OUTSIDE).all())

    @property
    def is_of_same_benchmark(self) -> bool:
        """Whether the reference results measured something that was measured here."""
        n_common = len(self.objectives) + len(self.verdicts) + self.n_on_other_problems
        return n_common > 0

    @property
    def other_facts(self) -> dict[str, tuple[str, str]]:
        """The facts that are not the same: here, and in the reference results."""
        expected = self.about.facts
        return {
            name: (value, expected[name])
            for name, value in self.facts.items()
            if name in expected and expected[name] != value
        }


def compare_with_reference(store: Store) -> ReferenceComparison:
    """Compare the results of the last run in a store with the reference results.

        compare_with_reference(Store.open(Path("loptbench-results"))).agrees

    Raises:
        StoreError: the store cannot be read.
    """
    return compare_contents(Contents.of(store))


def compare_contents(contents: Contents) -> ReferenceComparison:
    """Compare the contents of a store, as `compare_with_reference` does."""
    expected = table("evaluations")
    here = evaluations(contents)
    objectives = here.merge(expected, on=IDENTITY, suffixes=("", "_reference"))
    measured = set(expected[MEASURED].itertuples(index=False, name=None))
    is_other = [key not in measured for key in here[MEASURED].itertuples(index=False, name=None)]
    other_tasks = set(here["task"][np.array(is_other, bool)])
    return ReferenceComparison(
        _objectives(objectives),
        _verdicts(contents, other_tasks),
        len(here) - len(objectives),
        len(here) - len(objectives) - sum(is_other),
        about(),
        facts_of(contents),
    )


def _objectives(merged: "DataFrame") -> "DataFrame":
    import pandas as pd

    mean, reference = merged["objective_mean"], merged["objective_mean_reference"]
    bound = WIDTH * merged["objective_standard_error_reference"]
    n_diverged = merged["n_diverged"].to_numpy(float)
    n_expected = merged["n_diverged_reference"].to_numpy(float)
    share = n_expected / merged["n_problems"].to_numpy(float)
    diverged_bound = WIDTH * np.sqrt(n_expected * (1 - share))
    both_infinite = np.isinf(mean) & np.isinf(reference)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        is_near = both_infinite | (np.abs(mean - reference) <= bound)
    is_within = is_near & (np.abs(n_diverged - n_expected) <= diverged_bound)
    is_same = ~differ(mean, reference) & (n_diverged == n_expected)
    return pd.DataFrame(
        {
            **{name: merged[name] for name in RUN},
            "mean": mean,
            "reference_mean": reference,
            "bound": bound,
            "n_diverged": n_diverged.astype(int),
            "reference_diverged": n_expected.astype(int),
            "diverged_bound": diverged_bound,
            "agreement": np.select([is_same, is_within], [SAME, WITHIN], OUTSIDE),
        }
    )


def _verdicts(contents: Contents, other_tasks: set[str]) -> "DataFrame":
    """The verdicts on both sides, but none on a task with evaluations of something else."""
    here = frame_of(contents, "verdicts")
    merged = here.merge(table("verdicts"), on=SUBJECT, suffixes=("", "_reference"))
    is_comparable = [not other_tasks & {*re.findall(r"\w+", task)} for task in merged["task"]]
    merged = merged[np.array(is_comparable, bool)]
    return merged[[*SUBJECT, "title", "words", "value"]].assign(
        reference_words=merged["words_reference"],
        reference_value=merged["value_reference"],
        same=merged["outcome"] == merged["outcome_reference"],
    )


def in_words(comparison: ReferenceComparison) -> list[str]:
    """What a comparison says, in lines of text: counts first, then everything that disagrees."""
    objectives, verdicts = comparison.objectives, comparison.verdicts
    if objectives.empty and verdicts.empty:
        return ["reference results: nothing of this run is among them"]
    counts = objectives["agreement"].value_counts()
    parts = ["none to compare"] if objectives.empty else []
    parts += [f"{counts[name]} {name}" for name in (SAME, WITHIN, OUTSIDE) if name in counts]
    lines = [
        f"reference results: {int(verdicts['same'].sum())} of {len(verdicts)} verdicts have the "
        f"same outcome; of {len(objectives)} mean meta-objectives {', '.join(parts)}"
    ]
    if comparison.n_other:
        fewer = comparison.n_on_other_problems
        but = f"; of {fewer} of them these have other problems" if fewer else ""
        lines.append(f"  {comparison.n_other} evaluations are not among the reference results{but}")
    lines += [
        f"  {row.claim} on {row.task}, {row.checkpoint or row.preset + ', ' + row.scope}: "
        f"{row.words} ({row.value:.3g}); in the reference results {row.reference_words} "
        f"({row.reference_value:.3g})"
        for row in verdicts[~verdicts["same"]].itertuples()
    ]
    lines += [
        f"  {row.optimizer} on {row.task} in {row.implementation}, {row.dtype}: "
        f"{row.mean:.5g}, {row.n_diverged} diverged; in the reference results "
        f"{row.reference_mean:.5g} ± {row.bound:.2g}, {row.reference_diverged} diverged"
        for row in objectives[objectives["agreement"] == OUTSIDE].itertuples()
    ]
    facts = comparison.other_facts.items()
    if facts:
        lines.append("  other than there: " + "; ".join(f"{n} {a} ({b})" for n, (a, b) in facts))
    return lines
