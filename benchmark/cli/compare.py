"""`loptbench compare`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loptbench.comparison.stores import StoreComparison

MOST_LINES = 10
"""As many changes of a kind are printed; the page has them all."""


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("loptbench-compare.html"),
    show_default=True,
    help="The file to write.",
)
def compare(a: Path, b: Path, output: Path) -> None:
    """Show the results in the stores A and B side by side, what changed first.

    Trials match by what they are, not by the code and versions that ran them. Writes an HTML page,
    prints a summary, and last the path of the page.
    """
    from loptbench.comparison.folders import compare as compare_stores
    from loptbench.reports.write import report_comparison

    comparison = compare_stores(a, b)
    path = report_comparison(comparison, output)
    for line in _summary(comparison):
        click.echo(line)
    click.echo(path)


def _summary(found: "StoreComparison") -> Iterator[str]:
    """What changed, in lines."""
    for name, side in (("A", found.a), ("B", found.b)):
        said = f"{len(side.records)} trials, {len(side.verdicts)} verdicts"
        yield f"{name} is {side.name}: {said}"
        yield from _some([f"left out: {one}" for one in side.left_out])
    yield from found.headline()
    yield from _some(
        [
            f"{one.match.claim}, {one.match.task}, {one.match.subject}: "
            f"{one.a['outcome']} -> {one.b['outcome']}"
            for one in found.verdicts_changed
        ]
    )
    yield from _some(
        [
            f"{f'{one.check}, ' if one.check else ''}{one.match.words}: "
            f"{one.a.status} -> {one.b.status}"
            for one in (*found.trials, *found.checks)
        ]
    )
    yield from _some([f"{one.kind} {one.name}: only in {one.side}" for one in found.only])
    yield from _some(
        [
            f"meta-objective of {one.match.optimizer} on {one.match.task} in "
            f"{one.match.implementation}: B / A = {one.ratio:.4g} [{one.low:.4g}, {one.high:.4g}]"
            for one in found.objectives
            if one.differs and one.low is not None
        ]
    )
    changed = [fact.name for fact in found.facts_changed]
    if changed:
        more = f" and {len(changed) - MOST_LINES} more" if len(changed) > MOST_LINES else ""
        yield f"provenance differs: {', '.join(changed[:MOST_LINES])}{more}"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        yield f"  and {len(lines) - MOST_LINES} more: see the page"
