"""Verdicts: whether a claim of the paper holds."""

import enum
import math
from typing import Annotated, Self

from pydantic import PlainSerializer, model_validator

from loptbench.results.schema.base import Model, field


class Outcome(enum.StrEnum):
    """The outcome of a verdict."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


class Scope(enum.StrEnum):
    """The subject of a verdict."""

    CHECKPOINT = "checkpoint"
    ALL_SEEDS = "all seeds"
    ONE_FRAMEWORK = "one framework's seeds"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


NumberOrNone = Annotated[float | None, PlainSerializer(_finite, when_used="json")]


class Verdict(Model):
    """Whether a claim holds, of one checkpoint or of the seeds of a preset."""

    claim: str = field("the claim's name")
    title: str = field("the claim's title", default="")
    statistic: str = field("the name of the statistic that the claim is about", default="")
    at_least: float | None = field("the claim's lower threshold; null if it has none", default=None)
    at_most: float | None = field("the claim's upper threshold; null if it has none", default=None)
    task: str = field("the task's name")
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
    n_seeds: int = field("number of checkpoints", default=1, ge=1)
    n_reproduced: int = field("checkpoints of which the claim is reproduced", default=0, ge=0)
    n_against: int = field("checkpoints of which it is not reproduced", default=0, ge=0)

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


class Verdicts(Model):
    """The verdicts of a store."""

    verdicts: tuple[Verdict, ...] = field("on checkpoints first, then on seeds")
    drawn_from: str = field("SHA-256 of the records that they are drawn from")
