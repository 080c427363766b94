"""From evidence to verdicts: does a claim hold for a checkpoint, and for all seeds?

A verdict is *reproduced*, *not reproduced* or *inconclusive*. It is what the primary reading of the
claim says; `loptbench.claims.outcomes` and `.seeds` have the rules. The same rules give the outcome
of every alternative, and the verdict's robustness is the share of them that agree.

Optimizers that had been seen when the claims were written, and new ones, are judged apart.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from loptbench.claims.catalogue import LATEST, Claim, Edition, load_edition
from loptbench.claims.evidence import Evidence
from loptbench.claims.outcomes import (
    ReadingOutcome,
    agrees,
    judge_reading,
    robustness,
)
from loptbench.claims.pairs import judge_pair, numbers_of_pairs, pairs_of
from loptbench.claims.seeds import Numbers, judge_seeds, numbers_of
from loptbench.results.schema.verdicts import (
    EvidenceKind,
    Outcome,
    ReadingResult,
    Scope,
    Verdict,
)

INFINITE = "the number is infinite: a run diverged"
"""The reason of an outcome whose number is infinite."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """What the readings of a claim say of one checkpoint, or of one pair of them.

    Attributes:
        claim: the claim.
        answers: the answer of each reading, the primary one first; of a pair, two of them each.
        outcomes: what each reading says.
        verdict: the verdict.
    """

    claim: Claim
    answers: Sequence[Any]
    outcomes: tuple[ReadingOutcome, ...]
    verdict: Verdict

    @property
    def answer(self) -> Any:
        """The answer of the primary reading."""
        return self.answers[0]


@dataclasses.dataclass(frozen=True)
class JudgedCheckpoint:
    """What the claims say of one checkpoint.

    Attributes:
        evidence: what is known of it.
        premise: whether it optimizes.
        by_claim: what each claim says that is about its task alone, by the claim's name.
    """

    evidence: Evidence
    premise: Outcome
    by_claim: dict[str, Judged]


def judge(evidence: Evidence, edition: Edition | None = None) -> dict[str, Judged]:
    """The verdicts on one checkpoint, by claim.

    Args:
        evidence: what is known of the checkpoint.
        edition: the claims; those of edition 2 if None.
    """
    return _judge_checkpoint(evidence, edition or load_edition(LATEST)).by_claim


def _judge_checkpoint(evidence: Evidence, edition: Edition) -> JudgedCheckpoint:
    premise = _judge_claim(evidence, edition, edition.premise(evidence.task), Outcome.REPRODUCED)
    outcome = premise.outcomes[0].outcome
    judged = {}
    for claim in edition.claims:
        if claim is premise.claim:
            judged[claim.name] = premise
        elif evidence.task in claim.tasks and not claim.is_across_tasks:
            judged[claim.name] = _judge_claim(evidence, edition, claim, outcome)
    return JudgedCheckpoint(evidence, outcome, judged)


def _judge_claim(evidence: Evidence, edition: Edition, claim: Claim, premise: Outcome) -> Judged:
    answers = [reading.measured.estimate(evidence) for reading in claim.readings]
    outcomes = tuple(
        judge_reading(reading, answer, premise)
        for reading, answer in zip(claim.readings, answers, strict=True)
    )
    subject = {"checkpoint": evidence.checkpoint, "seeds": (evidence.seed,)}
    verdict = _verdict(
        edition, claim, evidence.task, evidence.kind, Scope.CHECKPOINT, outcomes, **subject
    )
    return Judged(claim, answers, outcomes, verdict)


def judge_all(evidence: Iterable[Evidence], edition: Edition | None = None) -> list[Verdict]:
    """The verdicts on every checkpoint, then on the seeds of each task, preset and framework.

    The verdict on the seeds of all frameworks together comes first, and confirmatory verdicts come
    before exploratory ones.

    Args:
        evidence: what is known of each checkpoint.
        edition: the claims; those of edition 2 if None.
    """
    edition = edition or load_edition(LATEST)
    checkpoints = [_judge_checkpoint(item, edition) for item in evidence]
    verdicts = [own.verdict for checkpoint in checkpoints for own in checkpoint.by_claim.values()]
    over_seeds: list[Verdict] = []
    for claim in edition.claims:
        for place in claim.places:
            if claim.is_across_tasks:
                members = _judge_pairs(claim, checkpoints, edition)
                verdicts += [judged.verdict for _, judged in members]
            else:
                members = [
                    (checkpoint.evidence, checkpoint.by_claim[claim.name])
                    for checkpoint in checkpoints
                    if checkpoint.evidence.task == place
                ]
            over_seeds += _over_seeds(edition, claim, place, members)
    return verdicts + over_seeds


Member = tuple[Evidence, Judged]
"""A checkpoint, or the first one of a pair, and what the readings say of it."""


def _judge_pairs(
    claim: Claim, checkpoints: Sequence[JudgedCheckpoint], edition: Edition
) -> list[Member]:
    premises = {id(checkpoint.evidence): checkpoint.premise for checkpoint in checkpoints}
    members = []
    for pair in pairs_of([checkpoint.evidence for checkpoint in checkpoints], claim.tasks):
        answers = [
            (reading.measured.estimate(pair.first), reading.measured.estimate(pair.second))
            for reading in claim.readings
        ]
        outcomes = tuple(
            judge_pair(reading, own, [premises[id(item)] for item in pair])
            for reading, own in zip(claim.readings, answers, strict=True)
        )
        name = " and ".join(item.checkpoint for item in pair)
        subject = {"checkpoint": name, "seeds": (pair.first.seed,)}
        place, kind = claim.places[0], pair.first.kind
        verdict = _verdict(edition, claim, place, kind, Scope.CHECKPOINT, outcomes, **subject)
        members.append((pair.first, Judged(claim, answers, outcomes, verdict)))
    return members


def _over_seeds(
    edition: Edition, claim: Claim, place: str, members: Sequence[Member]
) -> Iterator[Verdict]:
    """The verdicts on the seeds of each kind, preset and framework."""
    for kind in EvidenceKind:
        of_kind = [member for member in members if member[0].kind is kind]
        for preset in dict.fromkeys(item.preset for item, _ in of_kind):
            own = [member for member in of_kind if member[0].preset == preset]
            frameworks = tuple(dict.fromkeys(item.trained_by for item, _ in own))
            groups = [(Scope.ALL_SEEDS, frameworks)]
            if len(frameworks) > 1:
                groups += [(Scope.ONE_FRAMEWORK, (framework,)) for framework in frameworks]
            for scope, names in groups:
                group = [member for member in own if member[0].trained_by in names]
                outcomes = tuple(
                    judge_seeds(
                        reading,
                        [judged.outcomes[i] for _, judged in group],
                        _numbers(claim, i, [judged for _, judged in group]),
                    )
                    for i, reading in enumerate(claim.readings)
                )
                yield _verdict(
                    edition,
                    claim,
                    place,
                    kind,
                    scope,
                    outcomes,
                    preset=preset,
                    implementations=names,
                    seeds=tuple(item.seed for item, _ in group),
                )


def _numbers(claim: Claim, i: int, judged: Sequence[Judged]) -> Numbers:
    """The numbers of a reading, of several checkpoints or pairs."""
    answers = [own.answers[i] for own in judged]
    return (
        numbers_of_pairs(claim.readings[i], answers)
        if claim.is_across_tasks
        else numbers_of(answers)
    )


def _verdict(
    edition: Edition,
    claim: Claim,
    place: str,
    kind: EvidenceKind,
    scope: Scope,
    outcomes: tuple[ReadingOutcome, ...],
    **subject: Any,
) -> Verdict:
    primary = outcomes[0]
    return Verdict(
        edition=edition.name,
        claim=claim.name,
        title=claim.title,
        statistic=claim.primary.label,
        at_least=claim.primary.at_least,
        at_most=claim.primary.at_most,
        task=place,
        kind=kind,
        scope=scope,
        outcome=primary.outcome,
        reason=_reason(primary),
        **_numbers_of_interval(primary),
        robustness=robustness(outcomes),
        readings=tuple(
            ReadingResult(
                reading=own.reading.words,
                statistic=own.reading.label,
                at_least=own.reading.at_least,
                at_most=own.reading.at_most,
                **_numbers_of_interval(own),
                outcome=own.outcome,
                agrees=own is primary or agrees(own, primary),
                reason=_reason(own),
            )
            for own in outcomes
        ),
        n_seeds=len(subject["seeds"]),
        n_reproduced=primary.n_reproduced,
        n_against=primary.n_against,
        **subject,
    )


def _numbers_of_interval(judged: ReadingOutcome) -> dict[str, Any]:
    """Value, low and high, as far as they are finite."""
    ends = {name: getattr(judged.interval, name, math.nan) for name in ("value", "low", "high")}
    return {name: value if math.isfinite(value) else None for name, value in ends.items()}


def _reason(judged: ReadingOutcome) -> str:
    """The reason of an outcome; of an infinite number, that it is one."""
    is_infinite = judged.interval is not None and math.isinf(judged.interval.value)
    if not is_infinite or judged.reason:
        return judged.reason
    if judged.reading.compared == "ratio":
        return "the ratio is infinite: it is zero on the second task"
    return INFINITE
