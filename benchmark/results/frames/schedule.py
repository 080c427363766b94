"""The frame of the schedule: the learning rate over time."""

from collections.abc import Iterator

import numpy as np

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    number,
)
from loptbench.results.frames.components import COMPONENTS, components
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.schema.mechanisms import ScheduleResult

AUTONOMOUS, MET = "autonomous", "met"
"""The states at which the learning rate is measured."""


def _schedules(contents: Contents) -> Iterator[Block]:
    for record, columns, schedule in measured(contents, ScheduleResult):
        yield {
            **columns,
            "states": AUTONOMOUS,
            "step": np.arange(len(schedule.rate)),
            "rate": schedule.rate,
            "low": np.nan,
            "high": np.nan,
            **components(schedule.trajectory),
            "record": record.name,
        }
        met = schedule.met
        if met is not None:
            yield {
                **columns,
                "states": MET,
                "step": np.arange(len(met.rate)),
                "rate": met.rate,
                "low": met.low,
                "high": met.high,
                **dict.fromkeys(COMPONENTS, np.nan),
                "record": record.name,
            }


SCHEDULES = Frame(
    "the learning rate at one step",
    {
        **OPTIMIZER,
        **TRAINING,
        "states": Column(
            f"{AUTONOMOUS}: the states that follow h0 without a gradient; {MET}: the states of "
            "real runs"
        ),
        "step": count("the inner step", "steps"),
        "rate": number(
            f"the learning rate; at {MET} states its median over components", "update / gradient"
        ),
        "low": number(f"its lower quartile, at {MET} states; else NaN", "update / gradient"),
        "high": number(f"its upper quartile, at {MET} states; else NaN", "update / gradient"),
        **COMPONENTS,
        **RECORD,
    },
    _schedules,
)
