"""The frame of the means of evaluations, beside the other implementations'."""

from collections.abc import Iterator

from loptbench.results.frames.columns import OPTIMIZER, RECORD, Block, Column, Frame, count, number
from loptbench.results.frames.contents import Contents


def _means(contents: Contents) -> Iterator[Block]:
    keys = {record.name: record.key for record in contents.records}
    for mean in contents.means:
        if mean.record in keys:
            key = keys[mean.record]
            yield {
                "implementation": key.implementation,
                "task": key.task,
                "dtype": key.dtype,
                **dict(mean),
            }


MEANS = Frame(
    "the mean of one optimizer in one implementation, beside that in another one",
    {
        **OPTIMIZER,
        "other": Column("the other implementation"),
        "n_problems": count("the number of problems that both have"),
        "mean": number("its mean meta-objective over these; NaN if no run was finite in both"),
        "other_mean": number("the other's mean meta-objective over these"),
        "error": number("the difference of the means"),
        "bound": number("what the problems earn: the difference may be as large"),
        "n_disputed": count("the number of problems that make up the difference"),
        "n_measured": count("how many of these the reference repeated"),
        "deviation": Column(
            "where the evaluation deviates from the reference's; or that the means differ by more "
            "than the bound, though neither is known to deviate; empty otherwise"
        ),
        **RECORD,
    },
    _means,
)
