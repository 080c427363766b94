"""The plan of a run."""

from loptbench.results.schema.base import Model, field, optional
from loptbench.results.schema.keys import TrialKey


class ImplementationState(Model):
    """Whether an implementation could be run on the machine of the run."""

    name: str = field("the implementation's name")
    availability: str = field("installed, not installed, or broken")
    reason: str = field("why it cannot be run; empty if it can")


class Plan(Model):
    """The trials of a run, whether or not they have a record yet."""

    trials: tuple[TrialKey, ...] = field("the planned trials")
    implementations: tuple[ImplementationState, ...] = field("the known implementations")
    left_out: str | None = optional("what a part of the benchmark leaves out, in words")
    kept: tuple[str, ...] | None = optional(
        "learned optimizers whose mechanisms are left out, as they are kept for the confirmation"
    )
