"""The order of trials: what answers first."""

from collections import defaultdict
from collections.abc import Sequence

from loptbench.results.schema.keys import Role, TrialKey, TrialKind
from loptbench.study.estimates import expected_seconds
from loptbench.study.trials import Trial

Groups = list[list[Trial]]


def first_answer_first(groups: Sequence[list[Trial]]) -> Groups:
    """The groups of trials, first those that give the first verdict; the others in their order.

    A verdict on a learned optimizer needs its evaluation, its mechanisms and the baselines. They
    come first on the task and in the implementation where they take least.
    """
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    measured: dict[tuple[str, str], set[TrialKind]] = defaultdict(set)
    for group in groups:
        for key in (trial.key for trial in group):
            if _is_for_a_verdict(key):
                seconds[_place(key)] += expected_seconds(key)
                if key.optimizer.role is Role.CHECKPOINT:
                    measured[_place(key)].add(key.trial)
    complete = [place for place, kinds in measured.items() if len(kinds) == 2]
    if not complete:
        return [*groups]
    first = min(complete, key=seconds.__getitem__)
    chosen = [
        any(_is_for_a_verdict(trial.key) and _place(trial.key) == first for trial in group)
        for group in groups
    ]
    return [
        group
        for part in (True, False)
        for group, own in zip(groups, chosen, strict=True)
        if own is part
    ]


def _place(key: TrialKey) -> tuple[str, str]:
    return key.implementation, key.task


def _is_for_a_verdict(key: TrialKey) -> bool:
    return key.trial is TrialKind.EVALUATION or (
        key.trial is TrialKind.MECHANISMS and key.optimizer.role is Role.CHECKPOINT
    )
