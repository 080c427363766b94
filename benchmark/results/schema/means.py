"""The mean meta-objective of each evaluation beside the other implementations'."""

from loptbench.results.schema.base import Model, Number, NumberOrInfinite, Result, field


class MeanResult(Result):
    """The mean of one optimizer in one implementation, beside that in another one.

    It is over the problems that both have, less those on which both diverged.
    """

    record: str = field("name of the record of the evaluation")
    role: str = field("role of the optimizer, as in the frame `evaluations`")
    optimizer: str = field("name of the optimizer, as in the frame `evaluations`")
    other: str = field("the other implementation's name")
    n_problems: int = field("number of problems that both have", ge=1)
    mean: Number = field("mean meta-objective; null where no run was finite")
    other_mean: Number = field("the other's mean meta-objective; null where no run was finite")
    error: Number = field("difference of the means; null where a mean is")
    bound: NumberOrInfinite = field("what the problems earn: the error may be as large")
    n_disputed: int = field("problems that make up the difference", ge=0)
    n_measured: int = field("how many of these the reference repeated", ge=0)
    deviation: str = field(
        "where the evaluation deviates from the reference's; or that the means differ by more than "
        "the bound, though neither is known to deviate; empty otherwise"
    )


class Means(Model):
    """The means of a store."""

    means: tuple[MeanResult, ...] = field("one for each optimizer and pair of implementations")
    drawn_from: str = field("SHA-256 of the evaluations that they are of")
