"""One colour and one marker per optimizer and implementation, in every figure of every page."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from loptbench.reports.page.elements import Key


@dataclasses.dataclass(frozen=True)
class Look:
    """How a line is drawn.

    Attributes:
        name: what the legend says.
        light: its colour on white.
        dark: its colour on a dark page.
        marker: matplotlib's name of its marker.
        dash: matplotlib's name of its line style.
        width: of the line, in points.
    """

    name: str
    light: str
    dark: str
    marker: str
    dash: str = "-"
    width: float = 1.4


# Told apart without colour by their markers; the colours by those who see few of them: lightness
# differs as well. Every one has a contrast of 3 or more with its background.
OPTIMIZERS = (
    Look("learned", "#0173b2", "#56b4e9", "o", width=2.2),
    Look("sgd", "#a86400", "#f0a830", "s"),
    Look("momentum", "#02754f", "#3fc99b", "^"),
    Look("nesterov", "#c03a00", "#ff8f5e", "D"),
    Look("rmsprop", "#a8479a", "#e6a1d8", "v"),
    Look("adam", "#6b4423", "#cfa57c", "P"),
    Look("theoretical momentum", "#4d4d4d", "#c4c4c4", "X", "--"),
    Look("control", "#7a7a7a", "#8f8f8f", "*", ":"),
)
IMPLEMENTATIONS = (
    Look("reference", "#5c5c5c", "#b0b0b0", "o"),
    Look("torch", "#882255", "#e07bab", "s"),
    Look("jax", "#117733", "#6fce8c", "^"),
    Look("", "#332288", "#a99cf0", "D"),
    Look("", "#8a7a12", "#d9c85a", "v"),
    Look("", "#2c7f78", "#63c9be", "P"),
    Look("", "#994455", "#ee99aa", "X"),
)
BOUND = Look("bound", "#1b1f24", "#e6edf3", "", "--", 1.2)


def optimizer(name: str) -> Look:
    """The look of an optimizer; of one that is not ours, that of a control with its name."""
    other = dataclasses.replace(OPTIMIZERS[-1], name=name)
    return next((look for look in OPTIMIZERS if look.name == name), other)


def place(name: str) -> tuple[int, str]:
    """Where an optimizer stands in legends and tables."""
    names = [look.name for look in OPTIMIZERS]
    return (names.index(name) if name in names else len(names), name)


def implementation(name: str, names: Sequence[str]) -> Look:
    """The look of an implementation: its own, or one of the others', in their order."""
    own = {look.name: look for look in IMPLEMENTATIONS if look.name}
    if name in own:
        return own[name]
    free = [look for look in IMPLEMENTATIONS if not look.name]
    others = [one for one in names if one not in own]
    place = others.index(name) if name in others else 0
    return dataclasses.replace(free[place % len(free)], name=name)


def keys(looks: Sequence[Look]) -> list[Key]:
    """The legend of these looks, each once, in order."""
    return [key(look, look.name) for look in dict.fromkeys(looks)]


@functools.cache
def key(look: Look, name: str, hollow: bool = False) -> Key:
    """An entry of a legend: its line and marker, or a hollow marker without a line."""
    from matplotlib.markers import MarkerStyle  # pages without figures do without it

    colour = f"var(--{look.light[1:]}, {look.light})"
    dashes = {"--": ' stroke-dasharray="5 3"', ":": ' stroke-dasharray="2 2"'}.get(look.dash, "")
    line = (
        f'<line x1="0" x2="28" y1="6" y2="6" style="stroke: {colour}" '
        f'stroke-width="{look.width}"{dashes}/>'
    )
    content, filling = ("", "var(--paper, #ffffff)") if hollow else (line, colour)
    if look.marker:
        style = MarkerStyle(look.marker)
        path = style.get_path().transformed(style.get_transform())
        scale = 4 / float(np.abs(np.asarray(path.vertices, float)).max())
        for polygon in path.to_polygons():
            corners = np.asarray(polygon, float).tolist()
            points = " ".join(f"{14 + scale * x:.1f},{6 - scale * y:.1f}" for x, y in corners)
            content += (
                f'<polygon points="{points}" style="fill: {filling}; stroke: {colour}" '
                'stroke-width="1"/>'
            )
    return drawn(name, content)


def drawn(name: str, content: str) -> Key:
    """An entry of a legend that is drawn by hand, on 28 by 12."""
    start = '<svg viewBox="0 0 28 12" aria-hidden="true" focusable="false">'
    return Key(name, f"{start}{content}</svg>")


def colours() -> str:
    """The colours as CSS: each by its name on white, which drawings fall back to elsewhere."""
    pairs = {look.light: look.dark for look in (*OPTIMIZERS, *IMPLEMENTATIONS, BOUND)}
    told = "; ".join(f"--{a[1:]}: light-dark({a}, {b})" for a, b in pairs.items())
    return f":root {{ {told}; }}"
