"""The key of a trial: all that determines its result."""

import enum
import hashlib
import json
from typing import Annotated, Any

from pydantic import BeforeValidator

from loptbench.results.schema.base import Model, field, optional

NAME_LENGTH = 32
"""Hexadecimal digits of a record's name: 128 bits, so that no two keys share a name."""


class TrialKind(enum.StrEnum):
    """The kinds of trials."""

    CONFORMANCE = "conformance"
    EVALUATION = "evaluation"
    MECHANISMS = "mechanisms"


class Role(enum.StrEnum):
    """The role of an optimizer in a study."""

    CHECKPOINT = "checkpoint"
    TUNED = "tuned"
    SCHEDULED = "scheduled"
    BASELINES = "baselines"
    ADAPTED = "adapted"
    CONTROL = "control"
    CASE = "case"


ALONE = (Role.CHECKPOINT, Role.ADAPTED)
"""Roles of optimizers whose evaluation is a trial of its own: its key has their weights."""


class OptimizerId(Model):
    """The optimizer of a trial."""

    role: Role = field(
        "checkpoint: a learned optimizer; tuned: one tuned baseline; scheduled: one with a "
        "learning-rate schedule; baselines: all baselines of a task; adapted: an optimizer of "
        "another library, or of one's own; control: an optimizer with known mechanisms; case: an "
        "optimizer that the conformance suite makes"
    )
    name: str = field("the optimizer's name within its role", min_length=1)

    def __str__(self) -> str:
        is_ambiguous = self.role in (Role.CHECKPOINT, Role.TUNED)
        return f"{self.role} {self.name}" if is_ambiguous else self.name


def plain_json(value: Any) -> Any:
    """A value as JSON holds it: tuples become lists."""
    return json.loads(json.dumps(value))


class TrialKey(Model):
    """All that determines a trial's result; its hash names the record."""

    trial: TrialKind = field("the kind of trial")
    implementation: str = field("the implementation's name", min_length=1)
    source: str = field("where the implementation was loaded from, as module:Object")
    versions: dict[str, str] = field("versions of the distributions that decide its numbers")
    code: str = field("SHA-256 of the sources of loptbench that decide a result")
    sources: str | None = optional(
        "SHA-256 of the implementation's own sources; absent if it is part of loptbench"
    )
    optimizer: OptimizerId = field("the optimizer")
    weights: str | None = field(
        "SHA-256 of the optimizer's kind, constants and parameters; null for several optimizers"
    )
    task: str = field("the task's name", min_length=1)
    problems: Annotated[dict[str, Any], BeforeValidator(plain_json)] = field(
        "the definition of the task: its settings and data"
    )
    seed: int = field("the seed of the problems and of random optimizers")
    dtype: str = field("the floating-point type of the computation")
    device: str = field("the device of the computation")
    n_problems: int | None = optional("number of problems, of evaluations and mechanisms")
    baselines: dict[str, str] | None = optional("weights hash of each baseline, of evaluations")
    compared_with_oracle: bool | None = optional(
        "whether the mechanisms are compared with the reference's"
    )

    @property
    def name(self) -> str:
        """The name of the record: a hash of all fields."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:NAME_LENGTH]

    def __str__(self) -> str:
        return f"{self.trial} of {self.optimizer} on {self.task} in {self.implementation}"
