"""Frames of momentum: the modes, and the response to an impulse."""

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
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.schema.mechanisms import MomentumResult


def _modes(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in measured(contents, MomentumResult):
        modes = momentum.modes
        yield {
            **columns,
            "mode": np.arange(len(modes)),
            "eigenvalue_real": [mode.eigenvalue[0] for mode in modes],
            "eigenvalue_imag": [mode.eigenvalue[1] for mode in modes],
            "timescale": [mode.timescale for mode in modes],
            "contribution": [mode.contribution for mode in modes],
            "condition": [mode.condition for mode in modes],
            "record": record.name,
        }


MODES = Frame(
    "one mode of the linear system at the convergence point",
    {
        **OPTIMIZER,
        **TRAINING,
        "mode": count("its place, from 0 for the largest contribution"),
        "eigenvalue_real": number("the real part of its eigenvalue"),
        "eigenvalue_imag": number("the imaginary part of its eigenvalue"),
        "timescale": number("after so long it has decayed to 1/e", "steps"),
        "contribution": number("the size of its part of the total response", "update / gradient"),
        "condition": number("the condition number of its eigenvalue"),
        **RECORD,
    },
    _modes,
)


def _impulse_responses(contents: Contents) -> Iterator[Block]:
    for record, columns, momentum in measured(contents, MomentumResult):
        response = momentum.impulse_response
        lags = np.arange(len(response))
        yield {**columns, "lag": lags, "response": response, "record": record.name}


IMPULSE_RESPONSES = Frame(
    "the update some steps after a unit gradient",
    {
        **OPTIMIZER,
        **TRAINING,
        "lag": count("the time since the gradient", "steps"),
        "response": number("κ, the update", "update / gradient"),
        **RECORD,
    },
    _impulse_responses,
)
