"""Drawings as SVG elements of a page, whose parts say what they show."""

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Patch

from loptbench.reports.page.elements import Key
from loptbench.reports.plots.sizes import by_size
from loptbench.reports.plots.styles import INK, LINE, Style, variables

if TYPE_CHECKING:
    import pandas as pd

THEME: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 72,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": LINE,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


LEAF = r"<(?:path|use|text)\b[^>]*?(?:/>|>[^<]*</text>)"
"""An element without others in it."""


@dataclasses.dataclass(frozen=True)
class Tag:
    """What an element of a drawing shows, by which the page hides or highlights it.

    Attributes:
        series: the entry of the legend that it belongs to.
        seed: the learned optimizer; empty if it shows another.
        size: the size of the learned optimizer; empty if it is there for all sizes.
    """

    series: str = ""
    seed: str = ""
    size: str = ""

    def attributes(self) -> str:
        """Its HTML attributes, with a space before each."""
        named = dataclasses.asdict(self).items()
        return "".join(f' data-{name}="{escape(value)}"' for name, value in named if value)


def tags_of(data: "pd.DataFrame") -> list[Tag]:
    """The tag of each row, of a frame with the columns `series`, `optimizer` and `size`."""
    columns = zip(data.series, data.optimizer, data["size"], strict=True)
    return [Tag(str(row[0]), str(row[1]) if row[2] else "", str(row[2])) for row in columns]


def keys(shown: Sequence[Style], signs: Sequence[Any] = ()) -> list[Key]:
    """The legend of a figure.

    Args:
        shown: the series, which a reader can hide.
        signs: matplotlib artists, with labels, for signs that are no series.
    """
    lines = [
        Line2D(
            [],
            [],
            color=style.light,
            marker=style.marker,
            markersize=5,
            linewidth=style.width,
            linestyle=(0, style.dashes) if style.dashes else "-",
            label=style.name,
        )
        for style in shown
    ]
    return [
        *(Key(str(line.get_label()), _swatch(line)) for line in lines),
        *(Key(str(sign.get_label()), _swatch(sign), is_series=False) for sign in signs),
    ]


def _swatch(artist: Any) -> str:
    """A small drawing of a line or a patch."""
    if isinstance(artist, Patch):
        colour = _paint(artist.get_facecolor())
        alpha = artist.get_alpha() or 1.0
        inside = f'<rect x="1" y="2" width="26" height="8" fill="{colour}" opacity="{alpha:g}"/>'
    else:
        stroke = _paint(artist.get_color())
        style, width = artist.get_linestyle(), artist.get_linewidth()
        dashes = [part * width for part in artist._unscaled_dash_pattern[1] or ()]
        dashed = f' stroke-dasharray="{" ".join(f"{part:g}" for part in dashes)}"' if dashes else ""
        inside = f'<path d="M1 6H27" stroke="{stroke}" stroke-width="{width:g}"{dashed}/>'
        inside = "" if style in ("None", "") else inside
        marker = MarkerStyle(artist.get_marker() or "None")
        path = marker.get_path().transformed(marker.get_transform())
        scale = artist.get_markersize()
        corners = [
            " ".join(
                f"{14 + scale * x:.1f},{6 - scale * y:.1f}" for x, y in np.asarray(polygon).tolist()
            )
            for polygon in path.to_polygons(closed_only=False)
        ]
        fill = _paint(artist.get_markerfacecolor()) if marker.is_filled() else "none"
        edge = _paint(artist.get_markeredgecolor())
        inside += "".join(
            f'<polyline points="{points}" fill="{fill}" stroke="{edge}"/>' for points in corners
        )
        if artist.get_alpha():
            inside = f'<g opacity="{artist.get_alpha():g}">{inside}</g>'
    return (
        '<svg viewBox="0 0 28 12" width="28" height="12" aria-hidden="true" focusable="false">'
        f"{inside}</svg>"
    )


def _paint(colour: Any) -> str:
    """The colour of the page."""
    value = to_hex(colour)
    name = variables().get(value)
    return f"var(--{name}, {value})" if name else value


def svg(
    drawing: Drawing, anchor: str, tags: Sequence[Sequence[Tag]] = ()
) -> tuple[str, dict[str, str]]:
    """A drawing as an `<svg>` element, and apart from it what belongs to a size.

    They are the same bytes each time, with the colours of the page; see `by_size`.

    matplotlib names its elements anew in each drawing, so they get `anchor` as a prefix.

    Args:
        drawing: the drawing.
        anchor: makes its identifiers unique in the page.
        tags: of artists with the identifier `tagN`, what the elements show that they become.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**THEME, "svg.hashsalt": anchor}):
        # matplotlib leaves this method without types.
        FigureCanvasSVG(drawing).print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata={"Date": None, "Creator": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    text = re.sub(
        r"(?<!opacity: 0)(\.\d)\d+(?=[^<>]*>)", r"\1", text
    )  # of coordinates, not of words
    text = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    # A group of one element is that element.
    one = r"<g id=\"((?:tag)?)[^\"]*?(\d*)\">\s*<(path|text|use)([^>]*?(?:/>|>[^<]*</text>))\s*</g>"
    text = re.sub(one, lambda m: f"<{m[3]}{_attributes(m, tags)}{m[4]}", text)
    for place, own in enumerate(tags):
        text = _tagged(text, f'<g id="tag{place}">', own)
    text = re.sub(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10}|C\w+)[^"]*"', "", text)
    # A group that says nothing is its elements, from the innermost one on.
    n_groups = -1
    while n_groups:
        text, n_groups = re.subn(rf"<g>\s*((?:{LEAF}\s*)*)</g>", r"\1", text)
    text = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', f"{anchor}-", text)
    text = re.sub(r"\s*\n\s*", " ", re.sub(r">\s+<", "><", text))
    for colour, variable in variables().items():
        text = text.replace(f": {colour}", f": var(--{variable}, {colour})")
    text = text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return by_size(text)


def _attributes(match: "re.Match[str]", tags: Sequence[Sequence[Tag]]) -> str:
    return tags[int(match[2])][0].attributes() if match[1] else ""


def _tagged(text: str, opening: str, tags: Sequence[Tag]) -> str:
    """The text, with the tags of a group on it, or those of its points on its elements."""
    before, found, after = text.partition(opening)
    if not found:
        return text
    if len(tags) == 1:
        return f"{before}<g{tags[0].attributes()}>{after}"
    rest = iter(tags)
    drawn = re.sub(
        r"<(use|path) (?!id=)",
        lambda match: f"<{match[1]}{next(rest).attributes()} ",
        after,
        count=len(tags),
    )
    return f"{before}<g>{drawn}"
