"""Frames of clipping: the update functions, and the gradients met."""

from collections.abc import Iterator

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    number,
)
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.frames.quantities import ARMS
from loptbench.results.schema.mechanisms import ClippingResult


def _update_functions(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in measured(contents, ClippingResult):
        for state in clipping.states:
            for i, (sign, arm) in enumerate(zip((-1.0, 1.0), ARMS, strict=True)):
                yield {
                    **columns,
                    "where": state.where,
                    "arm": arm,
                    "gradient": sign * clipping.gradients,
                    "update": state.update[i],
                    "gain": state.gain,
                    "half_saturation": float(state.half_saturation[i]),
                    "saturation_at_largest_gradient": float(
                        state.saturation_at_largest_gradient[i]
                    ),
                    "record": record.name,
                }


UPDATE_FUNCTIONS = Frame(
    "the update that one gradient causes in one state",
    {
        **OPTIMIZER,
        **TRAINING,
        "where": Column("the state: h0, h*, or one of real runs"),
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient": number("the gradient", "gradient"),
        "update": number("U(h, g) − U(h, 0), the part of the update that g causes", "update"),
        "gain": number("the slope of the update at gradient zero", "update / gradient"),
        "half_saturation": number(
            "the smallest |g| with half the linear update; infinite for none", "gradient"
        ),
        "saturation_at_largest_gradient": number("update / linear update at the largest gradient"),
        **RECORD,
    },
    _update_functions,
)


def _gradient_density(contents: Contents) -> Iterator[Block]:
    for record, columns, clipping in measured(contents, ClippingResult):
        edges = 10.0**clipping.density.edges
        for arm, share in zip(ARMS, clipping.density.share, strict=True):
            yield {
                **columns,
                "arm": arm,
                "gradient_low": edges[:-1],
                "gradient_high": edges[1:],
                "share": share,
                "record": record.name,
            }


GRADIENT_DENSITY = Frame(
    "the share of the gradients of real runs in one bin of |g|",
    {
        **OPTIMIZER,
        **TRAINING,
        "arm": Column("negative or positive: the sign of the gradient"),
        "gradient_low": number("the lower edge of the bin of |g|", "gradient"),
        "gradient_high": number("the upper edge of the bin of |g|", "gradient"),
        "share": number("the share of all gradients; both signs together make 1"),
        **RECORD,
    },
    _gradient_density,
)
