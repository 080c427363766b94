"""What every plotting function returns: a drawing with its words and its data."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Figure:
    """A figure of a page.

    Attributes:
        anchor: its identifier, unique in the page; also the name of its downloads.
        title: its heading.
        alt: alternative text, for readers who do not see the drawing.
        caption: what to look for, and which of the paper's figures it corresponds to.
        svg: one `<svg>` element with panels, axes and legend. It is hidden from screen readers, so
            the page gives `alt` on the element around it. Its natural width in CSS pixels is its
            attribute `width`; its colours are variables of the page with a fallback for white
            paper, `var(--plot-0173b2, #0173b2)`.
        data: what is drawn, one row per point.
        command: the command that makes it again.
    """

    kind: ClassVar[str] = "figure"

    anchor: str
    title: str
    alt: str
    caption: str
    svg: str
    data: "pd.DataFrame"
    command: str = ""
