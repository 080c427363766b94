"""The verdicts over all seeds in the terminal: claims by tasks."""

from typing import TYPE_CHECKING, Any

from loptbench.results.schema.verdicts import DEPENDS_ON_READING, Outcome, Scope

if TYPE_CHECKING:
    from pandas import DataFrame

MARKS = {
    str(Outcome.REPRODUCED): ("✓", "green"),
    str(Outcome.NOT_REPRODUCED): ("✗", "red"),
    str(Outcome.INCONCLUSIVE): ("?", "yellow"),
}
"""The mark and the colour of each outcome."""

DEPENDS = "*"
NARROW = 100
"""Width, in characters, of a table that is written to a file or a pipe."""


def print_claims(verdicts: "DataFrame") -> None:
    """Print one table: a row for each claim, a column for each task, a mark in each cell.

    A cell has a mark for each preset, and for confirmatory and exploratory seeds apart. A claim
    that compares two tasks stands in the column of the first.

    Args:
        verdicts: the frame `verdicts`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    own = _over_seeds(verdicts)
    if own.empty:
        return
    own = own.assign(column=own.task.str.partition(" and ")[0])
    groups = list(dict.fromkeys(zip(own.kind, own.preset, strict=True)))
    tasks = list(dict.fromkeys(own[~own.task.str.contains(" and ")].task)) or [*set(own.column)]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=NARROW)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("claim", *tasks):
        table.add_column(heading, no_wrap=True)
    cells = own.set_index(["title", "column", "kind", "preset"]).sort_index()
    for title in dict.fromkeys(own.title):
        row = [Text(title)]
        for task in tasks:
            parts = [
                _cell(cells.loc[[(title, task, *group)]].iloc[0])
                if (title, task, *group) in cells.index
                else Text("–", "dim")
                for group in groups
            ]
            is_empty = all(part.plain == "–" for part in parts)
            row.append(Text("") if is_empty else Text("  ").join(parts))
        table.add_row(*row)
    console.print(table)
    legend = ", ".join(f"{mark} {outcome}" for outcome, (mark, _) in MARKS.items())
    names = "; then ".join(f"{preset}, {kind}" for kind, preset in groups)
    console.print(Text(f"{legend}, {DEPENDS} {DEPENDS_ON_READING}; seeds for the claim of all"))
    console.print(Text(f"seeds: {names}"))


def _cell(verdict: Any) -> Any:
    from rich.text import Text

    mark, colour = MARKS[verdict.outcome]
    depends = DEPENDS if verdict.depends_on_reading else ""
    return Text(f"{mark}{depends} {verdict.n_reproduced}/{verdict.n_seeds}", colour)


def _over_seeds(verdicts: "DataFrame") -> "DataFrame":
    """The verdicts over all seeds; confirmatory ones first."""
    own = verdicts[verdicts.scope == str(Scope.ALL_SEEDS)]
    return own.sort_values("kind", kind="stable")


def print_numbers(verdicts: "DataFrame") -> None:
    """Print the verdicts with their numbers: claims by tasks, a table for each kind and preset.

    Args:
        verdicts: the frame `verdicts`.
    """
    import click

    from loptbench.cli.tables import print_table

    for (kind, preset), own in _over_seeds(verdicts).groupby(["kind", "preset"], sort=False):
        cells = [
            f"{verdict.words}, {verdict.n_reproduced}/{verdict.n_seeds}: {verdict.value:.3g}"
            for verdict in own.itertuples()
        ]
        table = own.assign(cell=cells).pivot(index="title", columns="task", values="cell")
        table = table.reindex(index=own.title.unique(), columns=own.task.unique()).fillna("")
        click.echo(
            f"{kind}, {preset}: the verdict, seeds for the claim of all seeds, the mean statistic"
        )
        print_table(table.reset_index(names="claim"))
