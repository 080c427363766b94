"""The verdicts over seeds: the matrix of the first screen, and the sentences beside it."""

from typing import TYPE_CHECKING

from loptbench.claims.catalogue import claims
from loptbench.reports.page.elements import Bullets, Item, Part, Prose, Table
from loptbench.reports.page.numbers import MISSING
from loptbench.reports.sections.agreement import tasks_in_order
from loptbench.results.schema.verdicts import Outcome, Scope
from loptbench.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

SHORT = {Outcome.REPRODUCED: "yes", Outcome.NOT_REPRODUCED: "no", Outcome.INCONCLUSIVE: "open"}
RULE = (
    "Each claim is a statistic with a threshold that was set before it was measured. Over all "
    "seeds of meta-training, a claim is reproduced if the 95 % bootstrap interval of the mean, "
    "over seeds and problems, lies within the claimed range and at least four of five seeds "
    "agree. It is not reproduced if the interval lies outside, or if the interval straddles the "
    "threshold while at least four of five seeds speak against the claim. In all other cases, and "
    "with fewer than five seeds, it is inconclusive."
)


def known_verdicts(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    """The verdicts on claims and tasks that this version of loptbench knows."""
    return verdicts[
        verdicts.claim.isin([claim.name for claim in claims()])
        & verdicts.task.isin(list(TASKS))
        & verdicts.outcome.isin(list(Outcome))
        & verdicts.scope.isin(list(Scope))
    ]


def standing(verdicts: "pd.DataFrame") -> "pd.DataFrame":
    """One verdict over all seeds for each claim and task: that of the preset with most seeds."""
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    return overall.sort_values("n_seeds", ascending=False, kind="stable").drop_duplicates(
        ["claim", "task"]
    )


def verdict_matrix(verdicts: "pd.DataFrame") -> Table:
    """Claims by tasks: the verdict over all seeds in each cell, and how many of them agree."""
    import pandas as pd

    tasks = tasks_in_order(verdicts.task)
    present = [claim for claim in claims() if claim.name in set(verdicts.claim)]
    cells = {
        (claim.title, task): _cell(
            verdicts[(verdicts.claim == claim.name) & (verdicts.task == task)], task in claim.tasks
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
        "verdict-matrix",
        "Claims of the paper by tasks, over meta-training seeds: yes, reproduced; no, not "
        "reproduced; open, the seeds do not decide. Then the number of seeds on which the claim is "
        "reproduced, of all. Small print: the mean over seeds, to compare with the threshold under "
        "the claim, and the seeds by the framework that meta-trained them. A dash: the paper does "
        "not claim this of the task.",
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
    return text, first.outcome, mean + ", ".join(parts)


def frameworks(implementations: str) -> str:
    """The implementations that meta-trained some seeds, in words.

    >>> frameworks("jax torch")
    'jax or torch'
    """
    return " or ".join(implementations.split())


def summary(verdicts: "pd.DataFrame") -> str:
    """How many claims on tasks have each outcome; empty if there is no verdict over seeds."""
    stands = standing(verdicts)
    counts = stands.outcome.value_counts()
    words = ", ".join(f"{counts.get(outcome, 0)} {outcome}" for outcome in Outcome)
    n_claims = stands.claim.nunique()
    return f"of {n_claims} claims, {len(stands)} times on a task, {words}" if n_claims else ""


def in_words(verdicts: "pd.DataFrame") -> str:
    """Each verdict over all seeds in a few words: threshold, outcome, seeds and interval."""
    known = {claim.name: claim for claim in claims()}
    sentences = []
    for row in verdicts[verdicts.scope == Scope.ALL_SEEDS].itertuples():
        claim = known[row.claim]
        sentence = f"{claim.title}, {row.task} ({claim.threshold}): {row.outcome}, "
        sentence += f"{row.n_reproduced} of {row.n_seeds} seeds"
        sentence += f", mean {row.value:.3g}" if row.value == row.value else ""
        sentence += f" [{row.low:.3g}, {row.high:.3g}]" if row.low == row.low else ""
        sentences.append(sentence)
    return "; ".join(sentences)


def preset_disagreements(verdicts: "pd.DataFrame") -> str:
    """The verdicts in which another preset disagrees; empty if there are none."""
    titles = {claim.name: claim.title for claim in claims()}
    overall = verdicts[verdicts.scope == Scope.ALL_SEEDS]
    stands = standing(verdicts)[["claim", "task", "outcome"]]
    both = overall.merge(stands, on=["claim", "task"], suffixes=("", "_standing"))
    differing = both[
        (both.outcome != both.outcome_standing) & (both.outcome != Outcome.INCONCLUSIVE)
    ]
    return "; ".join(
        f"{titles[row.claim]} ({row.task}) is {row.outcome} with the preset {row.preset}"
        for row in differing.itertuples()
    )


def claims_with_outcome(verdicts: "pd.DataFrame", outcome: Outcome) -> str:
    """The claims with this outcome, and their tasks; empty if there are none."""
    known = {claim.name: claim for claim in claims()}
    stands = standing(verdicts).sort_index()
    names = []
    for name, tasks in stands[stands.outcome == outcome].groupby("claim", sort=False).task:
        everywhere = len(tasks) == len(known[name].tasks) == len(TASKS)
        where = "every task" if everywhere else ", ".join(tasks)
        names.append(f"{known[name].title} ({where})")
    return "; ".join(names)


def highlights(verdicts: "pd.DataFrame") -> list[Part]:
    """The names of the claims that are not reproduced, and of those that are open."""
    sentences = {
        "Not reproduced": claims_with_outcome(verdicts, Outcome.NOT_REPRODUCED),
        "Open, because the seeds do not decide": claims_with_outcome(
            verdicts, Outcome.INCONCLUSIVE
        ),
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
