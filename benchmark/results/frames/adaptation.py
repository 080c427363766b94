"""The frame of adaptation."""

from collections.abc import Iterator

from loptbench.results.frames.columns import OPTIMIZER, RECORD, TRAINING, Block, Frame, flag, number
from loptbench.results.frames.components import COMPONENTS, components
from loptbench.results.frames.contents import Contents
from loptbench.results.frames.mechanisms import measured
from loptbench.results.schema.mechanisms import AdaptationResult


def _adaptation(contents: Contents) -> Iterator[Block]:
    for record, columns, adaptation in measured(contents, AdaptationResult):
        yield {
            **columns,
            "gradient": adaptation.gradients,
            "rate_reference": adaptation.rate_reference,
            "rate_local": adaptation.rate_local,
            "settled": adaptation.settled,
            "stable": adaptation.stable,
            "several_fixed_points": adaptation.several_fixed_points,
            **components(adaptation.curve),
            "record": record.name,
        }


ADAPTATION = Frame(
    "the state to which one constant gradient leads",
    {
        **OPTIMIZER,
        **TRAINING,
        "gradient": number("the gradient that stays", "gradient"),
        "rate_reference": number(
            "the learning rate for small gradients in that state", "update / gradient"
        ),
        "rate_local": number("the learning rate at the gradient itself", "update / gradient"),
        "settled": flag("whether the state has come to rest"),
        "stable": flag("whether the fixed point is stable"),
        "several_fixed_points": flag("whether other starts lead to another fixed point"),
        **COMPONENTS,
        **RECORD,
    },
    _adaptation,
)
