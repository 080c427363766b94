"""What is said of verdicts, in few words."""

from collections.abc import Mapping, Sequence

from loptbench.claims.catalogue import claims
from loptbench.claims.verdicts import Outcome, Scope, Verdict
from loptbench.tasks import TASKS

WORDS = {Outcome.REPRODUCED: "yes", Outcome.NOT_REPRODUCED: "no", Outcome.INCONCLUSIVE: "open"}


def preset(verdict: Verdict) -> str:
    """Whose seeds a verdict over seeds is on: their preset."""
    return verdict.subject.partition(", ")[0]


def framework(verdict: Verdict) -> str:
    """The same: what meta-trained them."""
    return verdict.subject.partition("meta-trained in ")[2]


def of_most_seeds(presets: Sequence[Verdict]) -> Verdict:
    """Of the verdicts on the presets of a task, the one that stands for it."""
    return max(presets, key=lambda v: v.n_seeds)


def in_words(verdicts: Sequence[Verdict]) -> list[str]:
    """Each verdict over seeds in a few words: threshold, outcome, seeds and interval."""
    known = {claim.name: claim for claim in claims()}
    return [
        f"{known[v.claim].title}, {v.task} ({known[v.claim].threshold}): {v.outcome}, "
        f"{v.n_reproduced} of {v.n_seeds} seeds"
        + (f", mean {v.value:.3g}" if v.value is not None else "")
        + (f" [{v.low:.3g}, {v.high:.3g}]" if v.low is not None else "")
        for v in verdicts
        if v.scope is Scope.ALL_SEEDS
    ]


def _cells(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """The verdicts over all seeds on each claim and task, one for each preset."""
    by_cell: dict[tuple[str, str], list[Verdict]] = {}
    for v in verdicts:
        if v.scope is Scope.ALL_SEEDS:
            by_cell.setdefault((v.claim, v.task), []).append(v)
    return list(by_cell.values())


def _overall(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Of each claim and task the verdict that stands for it."""
    return [of_most_seeds(presets) for presets in _cells(verdicts)]


def otherwise(verdicts: Sequence[Verdict]) -> str:
    """What the seeds of another preset decide, and decide otherwise; empty if there is nothing."""
    titles = {claim.name: claim.title for claim in claims()}
    said = []
    for presets in _cells(verdicts):
        stands = of_most_seeds(presets)
        said += [
            f"{titles[v.claim]} ({v.task}) is {v.outcome} with the preset {preset(v)}"
            for v in presets
            if v.outcome not in (stands.outcome, Outcome.INCONCLUSIVE)
        ]
    return "; ".join(said)


def one_line(verdicts: Sequence[Verdict]) -> str:
    """How many claims on tasks came out how."""
    overall = _overall(verdicts)
    counts = {word: sum(v.outcome is word for v in overall) for word in Outcome}
    said = ", ".join(f"{n} {word}" for word, n in counts.items())
    n = len({v.claim for v in overall})
    return f"of {n} claims, {len(overall)} times on a task, {said}" if overall else ""


def those(verdicts: Sequence[Verdict], outcome: Outcome) -> str:
    """Which claims came out so, and on which tasks; empty if none did."""
    titles = {claim.name: claim.title for claim in claims()}
    tasks: dict[str, list[str]] = {}
    asked: Mapping[str, Sequence[str]] = {claim.name: claim.tasks for claim in claims()}
    for v in _overall(verdicts):
        if v.outcome is outcome:
            tasks.setdefault(v.claim, []).append(v.task)
    said = []
    for claim, on in tasks.items():
        everywhere = len(on) == len(asked[claim]) == len(TASKS)
        said.append(f"{titles[claim]} ({'every task' if everywhere else ', '.join(on)})")
    return "; ".join(said)
