"""The claims by tasks as a Markdown table, made from the reference results.

`python -m loptbench.reference_results.claims_table README.md` writes it anew into a file, between
the lines `<!-- claims -->` and `<!-- /claims -->`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.errors import LoptbenchError
from loptbench.reading import read_file
from loptbench.reference_results.tables import table
from loptbench.results.schema.verdicts import Outcome, Scope
from loptbench.storage.files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

MARKS = {
    str(Outcome.REPRODUCED): "✓",
    str(Outcome.NOT_REPRODUCED): "✗",
    str(Outcome.INCONCLUSIVE): "○",
}
"""The mark of each outcome; a star after it says that it depends on the reading."""

START, END = "<!-- claims -->", "<!-- /claims -->"


def seed_verdicts(preset: str) -> "DataFrame":
    """The verdicts of the reference results over all seeds of a preset, those of a pair included.

    Returns: the rows of the frame `verdicts`. A claim that compares two tasks stands on the task
        that is named first.
    """
    verdicts = table("verdicts")
    chosen = verdicts[(verdicts["scope"] == str(Scope.ALL_SEEDS)) & (verdicts["preset"] == preset)]
    return chosen.assign(task=chosen["task"].str.split(r"\W+", regex=True).str[0])


def claims_table(preset: str = "quick") -> str:
    """A Markdown table: claims by tasks, with the mark of each verdict over all seeds of a preset.

    >>> claims_table().splitlines()[0]
    '| claim | quadratic | rosenbrock | two_moons | digits |'
    """
    verdicts = seed_verdicts(preset)
    verdicts["mark"] = verdicts["outcome"].map(MARKS) + verdicts["depends_on_reading"].map(
        {True: "*", False: ""}
    )
    tasks, titles = verdicts["task"].unique(), verdicts["title"].unique()
    cells = verdicts.pivot(index="title", columns="task", values="mark").fillna("")
    lines = [["claim", *tasks], ["---"] * (1 + len(tasks))]
    lines += [[title, *cells.loc[title, tasks]] for title in titles]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_claims_table(text: str) -> str:
    """A Markdown text with the table between its two marks made anew.

    Raises:
        LoptbenchError: the text lacks one of the marks.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise LoptbenchError(f"there is no line {START} with a line {END} after it")
    return f"{before}{START}\n\n{claims_table()}\n\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    write_atomically(path, with_claims_table(read_file(path).decode()).encode())
    print(path)
