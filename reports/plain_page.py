"""A page of tables and figures that is not the report: a title, a sentence, sections."""

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.storage.files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

DIGITS = "%.9g"
"""Digits of a number in CSV: more than any comparison looks at."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>loptbench: {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; }}
body {{ padding: 0 1rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #8886; padding: 0.3rem 0.7rem; }}
th, td {{ text-align: left; vertical-align: top; }}
td {{ font-variant-numeric: tabular-nums; }}
</style>
</head>
<body>
<main>
<h1>{heading}</h1>
<p>{lead}</p>
{sections}
<h2>Columns</h2>
<dl>{columns}</dl>
</main>
</body>
</html>
"""

SECTION = """<h2>{name}</h2>
<div class="wide" role="region" aria-label="{name}" tabindex="0">{content}</div>"""


def write_table(table: "DataFrame", path: Path, page: Callable[["DataFrame"], str]) -> Path:
    """Write a table: CSV if the name ends in .csv, else the page that shows it.

    Args:
        table: the table.
        path: the file to write.
        page: makes the page's HTML.

    Returns: the path.
    """
    if path.suffix == ".csv":
        text = table.to_csv(index=False, float_format=DIGITS, lineterminator="\n")
    else:
        text = page(table)
    write_atomically(path, text.encode())
    return path


def plain_page(
    title: str, heading: str, lead: str, sections: Mapping[str, str], columns: Mapping[str, str]
) -> str:
    """The page as HTML.

    Args:
        title: its title in a browser's tab.
        heading: its heading.
        lead: the text below it.
        sections: the HTML of each section, by its heading.
        columns: what each column of the tables holds, by name.
    """
    return PAGE.format(
        title=escape(title),
        heading=escape(heading),
        lead=escape(lead),
        sections="\n".join(
            SECTION.format(name=escape(name), content=content) for name, content in sections.items()
        ),
        columns="".join(
            f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in columns.items()
        ),
    )
