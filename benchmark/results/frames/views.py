"""Frames of what figures show: paths to the convergence point, and update functions on curves."""

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
from loptbench.results.frames.contents import Contents

MODE, CURVE = "strongest mode", "adapted states"
"""The curves along which update functions are shown."""


def _paths(contents: Contents) -> Iterator[Block]:
    for record, result in contents.mechanisms():
        paths = None if result.views is None else result.views.paths
        if paths is None:
            continue
        for start, (first, second) in enumerate(zip(paths.first, paths.second, strict=True)):
            yield {
                **contents.optimizer_columns(record.key),
                "start": start,
                "step": paths.steps.astype(int),
                "pc1": first,
                "pc2": second,
                "point_pc1": float(paths.point[0]),
                "point_pc2": float(paths.point[1]),
                "variance_1": float(paths.variance[0]),
                "variance_2": float(paths.variance[1]),
                "record": record.name,
            }


PATHS = Frame(
    "one state of a path without a gradient, from a state of a real run",
    {
        **OPTIMIZER,
        **TRAINING,
        "start": count("the number of the path"),
        "step": count("the time since its start", "steps"),
        "pc1": number("the state, along the principal component 1 of all paths"),
        "pc2": number("the state, along the principal component 2"),
        "point_pc1": number("the convergence point h*, along the principal component 1"),
        "point_pc2": number("the convergence point h*, along the principal component 2"),
        "variance_1": number("the share of the variance of the principal component 1"),
        "variance_2": number("the share of the variance of the principal component 2"),
        **RECORD,
    },
    _paths,
)


def _updates(contents: Contents) -> Iterator[Block]:
    for record, result in contents.mechanisms():
        if result.views is None:
            continue
        columns = contents.optimizer_columns(record.key)
        for curve, updates in (
            (MODE, result.views.along_mode),
            (CURVE, result.views.along_curve),
        ):
            if updates is None:
                continue
            at_zero = np.abs(updates.gradients).argmin()
            for at, update in zip(updates.at, updates.update, strict=True):
                yield {
                    **columns,
                    "curve": curve,
                    "at": float(at),
                    "gradient": updates.gradients,
                    "update": update,
                    "update_at_zero": float(update[at_zero]),
                    "record": record.name,
                }


UPDATES_ALONG_CURVES = Frame(
    "the update for one gradient in one state of a curve",
    {
        **OPTIMIZER,
        **TRAINING,
        "curve": Column(
            f"{MODE}: states h* + a v on the line of the mode that contributes most to the impulse "
            f"response; {CURVE}: states after T steps of a constant gradient"
        ),
        "at": number("a, or the constant gradient: which state"),
        "gradient": number("the gradient", "gradient"),
        "update": number("U(h, g)", "update"),
        "update_at_zero": number("U(h, 0)", "update"),
        **RECORD,
    },
    _updates,
)
