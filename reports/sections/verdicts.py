"""The verdicts over seeds: the matrix of the first screen, and the sentences beside it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Bullets, Item, Part, Prose, Table
from loptbench.reports.page.numbers import MISSING
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.results.schema.verdicts import (
    DEPENDS_ON_READING,
    EvidenceKind,
    Outcome,
    Scope,
    threshold_in_words,
)
from loptbench.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

SHORT = {Outcome.REPRODUCED: "yes", Outcome.NOT_REPRODUCED: "no", Outcome.INCONCLUSIVE: "open"}
KINDS = {
    EvidenceKind.CONFIRMATORY: "Confirmatory: on optimizers that are newer than the claims.",
    EvidenceKind.EXPLORATORY: "Exploratory: on optimizers that had been seen when the claims were "
    "written.",
}
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
    "Verdicts on seeds from 10 on are confirmatory. Optimizers with lower seeds had been seen when "
    "the claims were written, so verdicts on them are exploratory."
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
    """The verdicts that come first: the confirmatory ones; the exploratory ones if there are none.

    Those on single checkpoints do not count.
    """
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    for kind in EvidenceKind:
        if (overall.kind == kind).any():
            return verdicts[verdicts.kind == kind]
    return verdicts


def standing(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    """One verdict over all seeds for each kind, claim and task: of the preset with most seeds."""
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    return overall.sort_values("n_seeds", ascending=False, kind="stable").drop_duplicates(
        ["kind", "claim", "task"]
    )


def verdict_matrices(verdicts: "pd.DataFrame", claims: Sequence[Claim]) -> list[Table]:
    """The matrix of each kind of verdicts, the confirmatory one first."""
    kinds = [kind for kind in EvidenceKind if (verdicts.kind == kind).any()]
    return [
        verdict_matrix(
            verdicts[verdicts.kind == kind], claims, "verdict-matrix" + (f"-{kind}" if i else "")
        )
        for i, kind in enumerate(kinds)
    ]


def verdict_matrix(
    verdicts: "pd.DataFrame", claims: Sequence[Claim], anchor: str = "verdict-matrix"
) -> Table:
    """Claims by tasks: the verdict over all seeds in each cell, and how many of them agree.

    Args:
        verdicts: the frame `verdicts`, of one kind.
        claims: the claims.
        anchor: the name of the table.
    """
    import pandas as pd

    tasks = tasks_in_order(verdicts.task)
    present = [claim for claim in claims if claim.name in set(verdicts.claim)]
    cells = {
        (claim.title, task): _cell(
            verdicts[(verdicts.claim == claim.name) & (verdicts.task == task)], task in claim.places
        )
        for claim in present
        for task in tasks
    }
    text, status, note = (
        pd.DataFrame(
            [[cells[claim.title, task][part] for task in tasks] for claim in present],
            columns=tasks,
        )
        for part in range(3)
    )
    text.insert(0, "claim", [claim.title for claim in present])
    note.insert(0, "claim", [claim.threshold for claim in present])
    return Table(
        anchor,
        f"{KINDS[EvidenceKind(verdicts.kind.iloc[0])]} Claims of the paper by tasks, over "
        "meta-training seeds: yes, reproduced; no, not reproduced; open, the seeds do not decide. "
        "Then the number of seeds on which the claim is reproduced, of all. Small print: the mean "
        "over seeds, to compare with the threshold under the claim, the share of the alternative "
        "readings that agree, and the seeds by the framework that meta-trained them. A dash: the "
        "paper does not claim this of the task.",
        text,
        status=status,
        note=note,
        link={"claim": [f"#claim-{claim.name}" for claim in present]},
    )


def _cell(verdicts: "pd.DataFrame", is_claimed: bool) -> tuple[str, str, str]:
    """Text, status and note of a cell: the verdicts on one claim and task."""
    if not is_claimed:
        return MISSING, "empty", ""
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    if overall.empty:
        return "not run", "not run", "no learned optimizer"
    first = standing(verdicts).iloc[0]
    by_framework = verdicts[
        (verdicts.scope == Scope.ONE_FRAMEWORK) & (verdicts.preset == first.preset)
    ]
    parts = [
        f"{row.implementations} {row.n_reproduced}/{row.n_seeds}"
        for row in by_framework.itertuples()
    ] or [frameworks(first.implementations)]
    parts += [
        f"preset {row.preset} {row.n_reproduced}/{row.n_seeds}"
        for row in overall.itertuples()
        if row.preset != first.preset
    ]
    mean = f"mean {first.value:.3g}; " if first.value == first.value else ""
    text = f"{SHORT[Outcome(first.outcome)]} {first.n_reproduced}/{first.n_seeds}"
    text += f", {DEPENDS_ON_READING}" if first.depends_on_reading else ""
    robust = first.robustness == first.robustness
    share = f"{first.robustness:.0%} of other readings agree; " if robust else ""
    return text, first.outcome, mean + share + ", ".join(parts)


def frameworks(implementations: str) -> str:
    """The implementations that meta-trained some seeds, in words.

    >>> frameworks("jax torch")
    'jax or torch'
    """
    return " or ".join(implementations.split())


def summary(verdicts: "pd.DataFrame") -> str:
    """How many claims on tasks have each outcome; empty if there is no verdict over seeds."""
    stands = standing(headline(verdicts))
    if stands.empty:
        return ""
    counts = stands.outcome.value_counts()
    words = ", ".join(f"{counts.get(outcome, 0)} {outcome}" for outcome in Outcome)
    depends = int(stands.depends_on_reading.sum())
    words += f"; {depends} of these verdicts depend on the reading" if depends else ""
    return (
        f"of {stands.claim.nunique()} claims, {len(stands)} times on a task, {words} "
        f"({stands.kind.iloc[0]})"
    )


def in_words(verdicts: "pd.DataFrame") -> str:
    """Each verdict over all seeds in a few words: threshold, outcome, seeds and interval."""
    sentences = []
    for row in verdicts[verdicts.scope == Scope.ALL_SEEDS].itertuples():
        sentence = f"{row.title}, {row.task} ({_threshold(row)}): {row.words}, {row.kind}, "
        sentence += f"{row.n_reproduced} of {row.n_seeds} seeds"
        sentence += f", mean {row.value:.3g}" if row.value == row.value else ""
        sentence += f" [{row.low:.3g}, {row.high:.3g}]" if row.low == row.low else ""
        sentences.append(sentence)
    return "; ".join(sentences)


def _threshold(row: Any) -> str:
    ends = (None if end != end else end for end in (row.at_least, row.at_most))
    return threshold_in_words(*ends)


def preset_disagreements(verdicts: "pd.DataFrame") -> str:
    """The verdicts in which another preset disagrees; empty if there are none."""
    verdicts = headline(verdicts)
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    stands = standing(verdicts)[["claim", "task", "outcome"]]
    both = overall.merge(stands, on=["claim", "task"], suffixes=("", "_standing"))
    differing = both[
        (both.outcome != both.outcome_standing) & (both.outcome != Outcome.INCONCLUSIVE)
    ]
    return "; ".join(
        f"{row.title} ({row.task}) is {row.outcome} with the preset {row.preset}"
        for row in differing.itertuples()
    )


def claims_with_outcome(verdicts: "pd.DataFrame", claims: Sequence[Claim], outcome: Outcome) -> str:
    """The claims with this outcome, and their tasks; empty if there are none."""
    stands = standing(headline(verdicts)).sort_index()
    return _names(stands[stands.outcome == outcome], claims)


def _names(stands: "pd.DataFrame", claims: Sequence[Claim]) -> str:
    """The claims of some verdicts, and their tasks."""
    known = {claim.name: claim for claim in claims}
    names = []
    for name, tasks in stands.groupby("claim", sort=False).task:
        everywhere = len(tasks) == len(known[name].places) == len(TASKS)
        where = "every task" if everywhere else ", ".join(tasks)
        names.append(f"{known[name].title} ({where})")
    return "; ".join(names)


def highlights(verdicts: "pd.DataFrame", claims: Sequence[Claim]) -> list[Part]:
    """The names of the claims that are not reproduced, that are open, or that depend on reading."""
    stands = standing(headline(verdicts)).sort_index()
    sentences = {
        "Not reproduced": claims_with_outcome(verdicts, claims, Outcome.NOT_REPRODUCED),
        "Open, because the seeds do not decide": claims_with_outcome(
            verdicts, claims, Outcome.INCONCLUSIVE
        ),
        "Depends on the reading": _names(stands[stands.depends_on_reading], claims),
        "Different with the fewer seeds of another preset": preset_disagreements(verdicts),
    }
    items = [Item(f"{heading}: {names}.") for heading, names in sentences.items() if names]
    return [Bullets(items)] if items else []


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
