"""Docstrings of loptbench as reStructuredText: three things that Sphinx does not know of them.

- An indented block after an empty line is an equation or an example, shown as it is.
- A `|` is an absolute value, not a substitution.
- The fields of a pydantic model have their descriptions in the fields themselves.
"""

import inspect
import re
from typing import Any

from pydantic import BaseModel


def convert(lines: list[str]) -> list[str]:
    r"""The lines of a docstring, with `::` before indented blocks and `\|` for `|`.

    >>> convert(["Of |g|:", "", "    a = |b|", "", "End."])
    ['Of \\|g\\|:', '', '::', '', '    a = |b|', '', 'End.']
    """
    converted: list[str] = []
    previous, literal = 0, None  # the indentation of the text before, and of the block
    for i, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if not line.strip():
            converted.append(line)
            continue
        if literal is not None and indentation < literal:
            literal = None
        after_empty_line = i > 0 and not lines[i - 1].strip()
        if literal is None and after_empty_line and indentation > previous:
            literal = indentation
            converted += [" " * previous + "::", ""]
        if literal is None:
            previous = indentation
            line = escape_bars(line)
        converted.append(line)
    return converted


def escape_bars(line: str) -> str:
    """A line with every `|` outside of backticks escaped."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def fields(model: type[BaseModel]) -> list[str]:
    """The section that describes the fields of a model, in the style of a docstring."""
    described = [
        f"    {name}: {about.description}."
        for name, about in model.model_fields.items()
        if about.description
    ]
    return ["", "Attributes:", *described, ""] if described else []


def process(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring in place, before its sections are read; Sphinx calls this."""
    lines[:] = convert(lines)
    if inspect.isclass(of) and issubclass(of, BaseModel):
        lines += [escape_bars(line) for line in fields(of)]
