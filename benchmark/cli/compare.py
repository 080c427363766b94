"""`loptbench compare`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from loptbench.comparison.stores import StoreComparison

MAX_LINES = 10
"""Maximum number of changes of one kind that are printed. The page has them all."""


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
    from loptbench.comparison.stores import compare as compare_stores
    from loptbench.reports.write import report_comparison

    comparison = compare_stores(a, b)
    path = report_comparison(comparison, output)
    for line in _summary(comparison):
        click.echo(line)
    click.echo(path)


def _summary(comparison: "StoreComparison") -> Iterator[str]:
    """The lines of the summary, one or more for each kind of change."""
    for name, view in (("A", comparison.a), ("B", comparison.b)):
        n_trials, n_verdicts = len(view.contents.records), len(view.contents.verdicts)
        yield f"{name} is {view.name}: {n_trials} trials, {n_verdicts} verdicts"
        yield from _first_lines([f"left out: {sentence}" for sentence in view.left_out])
    yield from comparison.headline()
    yield from _first_lines(
        [
            f"{row.claim}, {row.task}, {row.subject}: {row.outcome_a} -> {row.outcome_b}"
            for row in comparison.verdicts_changed.itertuples()
        ]
    )
    changes = [
        f"{row.words}: {row.status_a} -> {row.status_b}"
        for row in comparison.trials_changed.itertuples()
    ]
    changes += [
        f"{row.check}, {row.words}: {row.status_a} -> {row.status_b}"
        for row in comparison.checks_changed.itertuples()
    ]
    yield from _first_lines(changes)
    yield from _first_lines(
        [f"{row.kind} {row.name}: only in {row.only_in}" for row in comparison.only.itertuples()]
    )
    with_interval = comparison.objectives[
        comparison.objectives["differs"] & comparison.objectives["low"].notna()
    ]
    yield from _first_lines(
        [
            f"meta-objective of {row.label} on {row.task} in {row.implementation}: "
            f"B / A = {row.ratio:.4g} [{row.low:.4g}, {row.high:.4g}]"
            for row in with_interval.itertuples()
        ]
    )
    changed = list(comparison.facts_changed["fact"])
    if changed:
        more = f" and {len(changed) - MAX_LINES} more" if len(changed) > MAX_LINES else ""
        yield f"provenance differs: {', '.join(changed[:MAX_LINES])}{more}"


def _first_lines(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:MAX_LINES])
    if len(lines) > MAX_LINES:
        yield f"  and {len(lines) - MAX_LINES} more: see the page"
