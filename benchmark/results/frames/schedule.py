"""The frame of the schedule."""

from collections.abc import Iterator

import numpy as np

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Frame,
    count,
    number,
)
from loptbench.results.frames.components import COMPONENTS, components
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.schema.mechanisms import ScheduleResult


def _schedules(contents: Contents) -> Iterator[Block]:
    for record, columns, schedule in measured(contents, ScheduleResult):
        yield {
            **columns,
            "step": np.arange(len(schedule.rate)),
            "rate": schedule.rate,
            **components(schedule.trajectory),
            "record": record.name,
        }


SCHEDULES = Frame(
    "the learning rate at one step without a gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "step": count("the inner step", "steps"),
        "rate": number("the learning rate", "update / gradient"),
        **COMPONENTS,
        **RECORD,
    },
    _schedules,
)
