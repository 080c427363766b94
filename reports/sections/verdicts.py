"""The verdicts over seeds, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Bullets, Item, Part, Prose
from loptbench.reports.plots.styles import NO_PRESET
from loptbench.results.schema.verdicts import EvidenceKind, Outcome, Scope, threshold_in_words

if TYPE_CHECKING:
    import pandas as pd

RULE = (
    "Each claim is a statistic with a threshold that was set before it was measured. Over all "
    "seeds of meta-training, a claim is reproduced if the 95 % bootstrap interval of the mean, "
    "over seeds and problems, lies within the claimed range and at least four of five seeds "
    "agree. It is not reproduced if the interval lies outside, or if the interval straddles the "
    "threshold while at least four of five seeds speak against the claim. In all other cases, and "
    "with fewer than five seeds, it is inconclusive. So it is where T steps and 2 T steps put the "
    "statistic on different sides of its threshold. The verdict is that of the primary statistic. "
    "Beside it stand other statistics that the same sentence could mean: robustness is the share "
    "of them that agree, and a verdict that fewer than two thirds share depends on the reading. "
    "Verdicts on seeds from 10 on are confirmatory. Those on lower seeds are exploratory: the "
    "first optimizers with such seeds had been seen when the claims were written."
)


def known_verdicts(verdicts: "pd.DataFrame", claims: Sequence[Claim]) -> "pd.DataFrame":
    """The verdicts on what these claims are about, confirmatory ones first."""
    import pandas as pd

    places = pd.MultiIndex.from_tuples([(c.name, place) for c in claims for place in c.places])
    known = verdicts[
        pd.MultiIndex.from_frame(verdicts[["claim", "task"]]).isin(places)
        & verdicts.outcome.isin(list(Outcome))
        & verdicts.scope.isin(list(Scope))
        & verdicts.kind.isin(list(EvidenceKind))
    ]
    order = {str(kind): i for i, kind in enumerate(EvidenceKind)}
    return known.sort_values("kind", key=lambda kinds: kinds.map(order), kind="stable")


def headline(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    """The verdicts over all seeds that come first: of each claim, task and size one.

    It is the confirmatory one; the exploratory one where there is no other. Of optimizers that are
    kept for the confirmation, losses are measured before mechanisms are.
    """
    return standing(verdicts).drop_duplicates(["claim", "task", "preset"])


def standing(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    """The verdicts over all seeds, one for each kind, claim, task and size; confirmatory first."""
    own = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    return own.sort_values("kind", kind="stable")


def of_size(verdicts: "pd.DataFrame", size: str) -> "pd.DataFrame":
    """The verdicts over all seeds of one size, one for each claim and task: the headline's."""
    return headline(verdicts[verdicts.preset.replace("", NO_PRESET) == size])


def in_words(verdicts: "pd.DataFrame") -> str:
    """Each verdict over all seeds in a few words: threshold, outcome, seeds and interval."""
    sentences = []
    for row in verdicts[verdicts.scope == Scope.ALL_SEEDS].itertuples():
        sentence = f"{row.title}, {row.task} ({_threshold(row)}): {row.words}, {row.kind}, "
        sentence += f"{row.preset or NO_PRESET}, "
        sentence += f"{row.n_reproduced} of {row.n_seeds} seeds"
        sentence += f", mean {row.value:.3g}" if row.value == row.value else ""
        sentence += f" [{row.low:.3g}, {row.high:.3g}]" if row.low == row.low else ""
        sentences.append(sentence)
    return "; ".join(sentences)


def _threshold(row: Any) -> str:
    ends = (None if end != end else end for end in (row.at_least, row.at_most))
    return threshold_in_words(*ends)


def warnings(n_dropped: int, are_current: bool) -> list[Part]:
    """Warnings about the verdicts of a store.

    Args:
        n_dropped: how many could not be read.
        are_current: whether the others were drawn from the records that the report shows.
    """
    sentences = []
    if n_dropped:
        sentences.append(
            f"{n_dropped} verdicts are of another version of loptbench and are left out."
        )
    if not are_current:
        sentences.append(
            "The verdicts were drawn from other records than those of this report: from fewer, "
            "or before some were made again."
        )
    items = [Item(sentence, status="mixed") for sentence in sentences]
    return [Bullets(items), Prose("'loptbench run' draws verdicts again.")] if items else []
