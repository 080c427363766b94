"""The picture of the architecture, drawn from the import graph.

`python -m loptbench.tests.architecture_picture docs/architecture.svg` makes it again.
"""

import sys
from pathlib import Path

from loptbench.tests.import_graph import layer_imports

EVERYWHERE = (
    "errors",
    "reading",
    "progress",
    "global_state",
    "threads",
    "importing",
    "ridders",
    "__main__",
)
"""Left out: small modules that many layers import, and the one that only starts the command."""

PUBLIC = "loptbench"
"""The name of the top layer, which is the package itself."""

WIDTH, HEIGHT = 1.55, 0.5
"""Of a box, in units of the rows."""


def direct_imports() -> dict[str, set[str]]:
    """What each layer imports, without what it already gets through another layer."""
    graph = {
        name or PUBLIC: {other for other in imported if other not in EVERYWHERE}
        for name, imported in layer_imports().items()
        if name not in EVERYWHERE
    }
    reached: dict[str, set[str]] = {}
    for name, imported in graph.items():  # lowest first
        reached[name] = imported.union(*(reached[other] for other in imported))
    return {
        name: {b for b in imported if not any(b in reached[a] for a in imported)}
        for name, imported in graph.items()
    }


def description() -> str:
    """The picture in words, which is written into it: one sentence a layer."""
    return " ".join(
        f"{name} imports {', '.join(sorted(imported)) or 'none of them'}."
        for name, imported in direct_imports().items()
    )


def rows(graph: dict[str, set[str]]) -> list[list[str]]:
    """The layers by height: each stands one row above the highest that it imports."""
    heights: dict[str, int] = {}
    for name, imported in graph.items():
        heights[name] = 1 + max((heights[other] for other in imported), default=-1)
    n_rows = 1 + max(heights.values())
    return [[name for name, height in heights.items() if height == i] for i in range(n_rows)]


def draw(path: Path) -> None:
    """Draw the picture as SVG; the same graph gives the same bytes with the same matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    graph = direct_imports()
    places: dict[str, tuple[float, float]] = {}
    for height, row in enumerate(rows(graph)):
        below = {
            name: sum(places[other][0] for other in graph[name]) / max(1, len(graph[name]))
            for name in row
        }
        for i, name in enumerate(sorted(row, key=lambda name: below[name])):
            places[name] = ((i - (len(row) - 1) / 2) * 2.0, float(height))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "loptbench"}):
        figure = Figure(figsize=(7.5, 8))
        axes = figure.add_axes((0, 0, 1, 1))
        for name, imported in graph.items():
            x, y = places[name]
            for other in sorted(imported):
                below_x, below_y = places[other]
                axes.annotate(
                    "",
                    xy=(below_x, below_y + HEIGHT / 2),
                    xytext=(x, y - HEIGHT / 2),
                    zorder=1,
                    arrowprops={"arrowstyle": "-|>", "color": "#7a869a", "lw": 0.9},
                )
            axes.add_patch(
                FancyBboxPatch(
                    (x - WIDTH / 2, y - HEIGHT / 2),
                    WIDTH,
                    HEIGHT,
                    boxstyle="round,pad=0,rounding_size=0.1",
                    facecolor="#e8f0fb",
                    edgecolor="#3b6fb6",
                    zorder=2,
                )
            )
            label = name.replace("_", " ")
            axes.text(x, y, label, ha="center", va="center", fontsize=10, color="#10243e", zorder=3)
        xs = [x for x, _ in places.values()]
        axes.set_xlim(min(xs) - 1, max(xs) + 1)
        axes.set_ylim(-0.5, len(rows(graph)) - 0.5)
        axes.axis("off")
        figure.savefig(
            path,
            format="svg",
            facecolor="white",
            metadata={"Date": None, "Creator": None, "Description": description()},
        )


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
