"""One colour, marker and line per optimizer and implementation, in every figure of every page."""

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal

INK, PAPER, LINE = "#1b1f24", "#ffffff", "#d0d7de"
"""Text and axes, background, and grid lines: on a page, its own variables of these names."""


NO_PRESET = "other"
"""The size of learned optimizers that no preset made."""


@dataclasses.dataclass(frozen=True)
class Style:
    """How a series is drawn.

    Attributes:
        name: its label in the legend.
        light: its colour on white.
        dark: its colour on a dark page.
        marker: matplotlib's name of its marker.
        dashes: lengths of dashes and gaps in line widths; "" for a solid line.
        width: the width of its line, in points.
    """

    name: str
    light: str
    dark: str
    marker: str
    dashes: tuple[float, ...] | Literal[""] = ""
    width: float = 1.4


# Markers tell the series apart without colour. The colours differ in lightness too, for readers who
# see few colours. Every one has a contrast of 3 or more with its background.
OPTIMIZERS = (
    Style("learned", "#0173b2", "#56b4e9", "o", width=2.2),
    Style("sgd", "#a86400", "#f0a830", "s"),
    Style("momentum", "#02754f", "#3fc99b", "^"),
    Style("nesterov", "#c03a00", "#ff8f5e", "D"),
    Style("rmsprop", "#a8479a", "#e6a1d8", "v"),
    Style("adam", "#6b4423", "#cfa57c", "P"),
    Style("theoretical momentum", "#4d4d4d", "#c4c4c4", "X", (5, 2)),
    Style("control", "#7a7a7a", "#8f8f8f", "*", (1, 1.5)),
)
IMPLEMENTATIONS = (
    Style("reference", "#5c5c5c", "#b0b0b0", "o"),
    Style("torch", "#882255", "#e07bab", "s"),
    Style("jax", "#117733", "#6fce8c", "^"),
)
FURTHER_IMPLEMENTATIONS = (
    Style("", "#332288", "#a99cf0", "D"),
    Style("", "#8a7a12", "#d9c85a", "v"),
    Style("", "#2c7f78", "#63c9be", "P"),
    Style("", "#994455", "#ee99aa", "X"),
)
ADAPTED_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BOUND = Style("bound", INK, "#e6edf3", "", (4, 2), 1.2)
ARMS = (
    Style("g < 0", "#5a7fe8", "#8fa8f5", "o", (4, 2)),
    Style("g > 0", "#dd5f4b", "#f08a78", "s"),
)
"""The two signs of the gradient."""
OUTCOMES = (
    Style("reproduced", "#1a7f5a", "#4cc38a", "o"),
    Style("not reproduced", "#b5541c", "#f0883e", "X"),
    Style("inconclusive", "#656d76", "#9aa4af", "D"),
)
"""The outcomes of verdicts."""
CELLS = tuple(
    Style("", light, dark, "")
    for light, dark in (
        ("#f3f9f6", "#12211a"),
        ("#dcefe5", "#16301f"),
        ("#bfe3d0", "#1d4531"),
        ("#f7e3b5", "#5c4a14"),
        ("#f5b7ab", "#6e231b"),
    )
)
"""The colours of a heat map's cells, from far below a limit to above it."""


def optimizer(name: str) -> Style:
    """The style of an optimizer; an unknown one has the style of a control and its own name.

    That of an adapted optimizer depends on its name alone, so it is the same on every page.
    """
    known = {style.name: style for style in OPTIMIZERS}
    if name in known:
        return known[name]
    if ":" not in name:
        return dataclasses.replace(OPTIMIZERS[-1], name=name)
    which, number = divmod(zlib.crc32(name.encode()), len(FURTHER_IMPLEMENTATIONS))
    marker = ADAPTED_MARKERS[which % len(ADAPTED_MARKERS)]
    colours = FURTHER_IMPLEMENTATIONS[number]
    return dataclasses.replace(colours, name=name, marker=marker, dashes=(3, 1.5))


def short(name: str) -> str:
    """The name of an optimizer where there is little room.

    >>> short("optax:lion(learning_rate=tuned)"), short("adam")
    ('lion', 'adam')
    """
    return name.partition("(")[0].rpartition(":")[2]


def place(name: str) -> tuple[int, str]:
    """The place of an optimizer in legends and tables, as a key to sort by.

    >>> sorted(["adam", "learned", "zebra", "sgd"], key=place)
    ['learned', 'sgd', 'adam', 'zebra']
    """
    names = [style.name for style in OPTIMIZERS]
    return (names.index(name) if name in names else len(names), name)


def implementation(name: str, names: Sequence[str]) -> Style:
    """The style of an implementation; an unknown one gets the next free style.

    Args:
        name: the implementation.
        names: all implementations of the page, in order.
    """
    styles = {style.name: style for style in IMPLEMENTATIONS}
    if name in styles:
        return styles[name]
    unstyled = [candidate for candidate in names if candidate not in styles]
    index = unstyled.index(name) if name in unstyled else 0
    return dataclasses.replace(
        FURTHER_IMPLEMENTATIONS[index % len(FURTHER_IMPLEMENTATIONS)], name=name
    )


def optimizers(names: Iterable[str]) -> list[Style]:
    """The styles of these optimizers, each once, in the order of legends."""
    return [optimizer(name) for name in sorted(set(names), key=place)]


def _pairs() -> dict[str, str]:
    """Every colour of a series on white, and its colour on a dark page."""
    styles = (*OPTIMIZERS, *IMPLEMENTATIONS, *FURTHER_IMPLEMENTATIONS, *ARMS, *OUTCOMES, *CELLS)
    return {style.light: style.dark for style in styles}


def variables() -> dict[str, str]:
    """The CSS variable of each colour that a dark page replaces."""
    series = {light: light[1:] for light in _pairs()}
    return {INK: "ink", PAPER: "paper", LINE: "line", **series}


def colours() -> str:
    """The CSS that gives each colour of a series its value on light and on dark pages."""
    values = "; ".join(
        f"--{light[1:]}: light-dark({light}, {dark})" for light, dark in _pairs().items()
    )
    return f":root {{ {values}; }}"
