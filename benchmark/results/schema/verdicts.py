"""Verdicts: whether a claim of the paper holds.

A verdict rests on the primary reading of its claim. Beside it stand the other readings: other
statistics that the same sentence could mean.
"""

import enum
import math
from typing import Annotated, Self

from pydantic import PlainSerializer, model_validator

from loptbench.results.schema.base import Model, field

FIRST_CONFIRMATORY_SEED = 10
"""The first optimizers with lower seeds had been seen when the claims of edition 2 were written."""

DEPENDS_ON_READING = "depends on the reading"
"""The mark of a verdict that fewer than two thirds of the alternatives share."""

FEWEST_AGREEING = 2 / 3
"""Robustness below which a verdict depends on the reading."""


class Outcome(enum.StrEnum):
    """The outcome of a verdict."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


class EvidenceKind(enum.StrEnum):
    """Whether optimizers had been seen when the claims were written."""

    CONFIRMATORY = "confirmatory"
    EXPLORATORY = "exploratory"

    @classmethod
    def of_seed(cls, seed: int | None) -> "EvidenceKind":
        """The kind of an optimizer with this seed of meta-training; None if that is unknown.

        >>> [str(EvidenceKind.of_seed(seed)) for seed in (None, 9, 10)]
        ['exploratory', 'exploratory', 'confirmatory']
        """
        is_new = seed is not None and seed >= FIRST_CONFIRMATORY_SEED
        return cls.CONFIRMATORY if is_new else cls.EXPLORATORY


class Scope(enum.StrEnum):
    """The subject of a verdict."""

    CHECKPOINT = "checkpoint"
    ALL_SEEDS = "all seeds"
    ONE_FRAMEWORK = "one framework's seeds"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


NumberOrNone = Annotated[float | None, PlainSerializer(_finite, when_used="json")]


def threshold_in_words(at_least: float | None, at_most: float | None) -> str:
    """A range of claimed values.

    >>> threshold_in_words(None, 1.0), threshold_in_words(-1.0, 1.0)
    ('at most 1', 'between -1 and 1')
    """
    if at_least is None:
        return "" if at_most is None else f"at most {at_most:g}"
    if at_most is None:
        return f"at least {at_least:g}"
    return f"between {at_least:g} and {at_most:g}"


class ReadingResult(Model):
    """What one reading of a claim says."""

    reading: str = field("the reading in words")
    statistic: str = field("the name of its statistic, with parameters")
    at_least: float | None = field("its lower threshold; null if it has none", default=None)
    at_most: float | None = field("its upper threshold; null if it has none", default=None)
    value: NumberOrNone = field("the statistic, or its mean over seeds", default=None)
    low: NumberOrNone = field("lower end of its 95 % interval", default=None)
    high: NumberOrNone = field("upper end of its 95 % interval", default=None)
    outcome: Outcome = field("the verdict that it would give")
    agrees: bool = field("whether it has a number, and the outcome of the verdict")
    reason: str = field("why, where the number does not say it", default="")

    @property
    def threshold(self) -> str:
        """The threshold in words."""
        return threshold_in_words(self.at_least, self.at_most)


class Verdict(Model):
    """Whether a claim holds, of one checkpoint or of the seeds of a preset."""

    edition: str = field("the edition of the claims: 1, 2, or the name of a file", default="1")
    claim: str = field("the claim's name")
    title: str = field("the claim's title", default="")
    statistic: str = field("the name of the primary statistic, with parameters", default="")
    at_least: float | None = field("the claim's lower threshold; null if it has none", default=None)
    at_most: float | None = field("the claim's upper threshold; null if it has none", default=None)
    task: str = field("the task's name; of a claim that compares two, both")
    kind: EvidenceKind = field(
        "exploratory, on optimizers with seeds below 10 or unknown seeds; else confirmatory",
        default=EvidenceKind.EXPLORATORY,
    )
    seeds: tuple[int | None, ...] = field(
        "the seed of meta-training of each checkpoint; null if it is unknown", default=()
    )
    scope: Scope = field("one checkpoint, all seeds of a preset, or one framework's seeds of it")
    checkpoint: str = field("the checkpoint's name; empty for a verdict on seeds", default="")
    preset: str = field("the preset; empty for a verdict on one checkpoint", default="")
    implementations: tuple[str, ...] = field(
        "the implementations that meta-trained the seeds; empty for a verdict on one checkpoint",
        default=(),
    )
    outcome: Outcome = field("the verdict")
    reason: str = field("why, where the number does not say it", default="")
    value: NumberOrNone = field("the statistic, or its mean over seeds", default=None)
    low: NumberOrNone = field("lower end of its 95 % interval", default=None)
    high: NumberOrNone = field("upper end of its 95 % interval", default=None)
    robustness: NumberOrNone = field(
        "share of the alternatives that agree; null if there are none, or if the primary reading "
        "decides nothing: without a number, without the premise, or with too few seeds",
        default=None,
        ge=0,
        le=1,
    )
    readings: tuple[ReadingResult, ...] = field(
        "the primary reading, then the alternatives", default=()
    )
    n_seeds: int = field("number of checkpoints, or of pairs of them", default=1, ge=1)
    n_reproduced: int = field("checkpoints of which the claim is reproduced", default=0, ge=0)
    n_against: int = field("checkpoints of which it is not reproduced", default=0, ge=0)

    @property
    def depends_on_reading(self) -> bool:
        """Whether fewer than two thirds of the alternatives agree."""
        return self.robustness is not None and self.robustness < FEWEST_AGREEING

    @property
    def words(self) -> str:
        """The outcome, with the mark if it depends on the reading."""
        return f"{self.outcome}, {DEPENDS_ON_READING}" if self.depends_on_reading else self.outcome

    @property
    def subject(self) -> str:
        """The checkpoint, or the preset and the implementations, in words."""
        if self.scope is Scope.CHECKPOINT:
            return f"checkpoint {self.checkpoint}"
        return f"{self.preset}, meta-trained in {' or '.join(self.implementations)}"

    @model_validator(mode="after")
    def _has_one_subject(self) -> Self:
        named = bool(self.checkpoint), bool(self.preset), bool(self.implementations)
        on_checkpoint = self.scope is Scope.CHECKPOINT
        if named != (on_checkpoint, not on_checkpoint, not on_checkpoint):
            raise ValueError(
                "a verdict names a checkpoint, or a preset and its implementations, by its scope"
            )
        return self

    @model_validator(mode="after")
    def _seeds_are_of_its_kind(self) -> Self:
        if len(self.seeds) not in (0, self.n_seeds):
            raise ValueError(
                f"the verdict on {self.claim!r} is on {self.n_seeds} seeds, but names "
                f"{len(self.seeds)}"
            )
        if self.kind is EvidenceKind.CONFIRMATORY and not self.seeds:
            raise ValueError(f"the confirmatory verdict on {self.claim!r} does not name its seeds")
        others = [seed for seed in self.seeds if EvidenceKind.of_seed(seed) is not self.kind]
        if others:
            raise ValueError(
                f"the {self.kind} verdict on {self.claim!r} has seeds of another kind: "
                f"{', '.join('unknown' if seed is None else str(seed) for seed in others)}; "
                f"seeds from {FIRST_CONFIRMATORY_SEED} on are confirmatory, all others exploratory"
            )
        return self


class Verdicts(Model):
    """The verdicts of a store."""

    verdicts: tuple[Verdict, ...] = field("on checkpoints first, then on seeds")
    drawn_from: str = field("SHA-256 of the records that they are drawn from")
