"""Pages in, HTML out: one self-contained file each."""

import functools
from importlib import resources

import jinja2

from loptbench.reports.elements import Page
from loptbench.reports.looks import colours


def html(page: Page) -> str:
    """The page as one self-contained HTML file; the same page gives the same bytes."""
    style = f"{colours()}\n{_file('style.css')}"
    return _template().render(page=page, style=style, script=_file("script.js"))


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_file),
    )
    return environment.get_template("page.html")


def _file(name: str) -> str:
    return (resources.files("loptbench.reports") / name).read_text()
