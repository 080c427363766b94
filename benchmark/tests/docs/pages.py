"""The pages of the README and the documentation, read from the source tree."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

import loptbench

ROOT = Path(loptbench.__file__).parent.parent
"""The source tree, if loptbench is installed from it in place."""


class Block(NamedTuple):
    """A block of code of a page.

    Attributes:
        language: what stands behind its fence, such as `python` or `{code-cell} python`.
        code: its lines.
        line: the line of its fence.
    """

    language: str
    code: str
    line: int


FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def source_tree(config: pytest.Config) -> Path:
    """The root of the source tree; the test is skipped where there is none."""
    for root in (config.inipath.parent if config.inipath else ROOT, ROOT):
        if (root / "docs" / "conf.py").exists():
            return root
    pytest.skip("not run from the source tree: there is no documentation to test")


def pages(root: Path) -> list[Path]:
    """README.md, CONTRIBUTING.md and every page of the documentation."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    r"""The blocks of code of a page, without the options of notebook cells.

    >>> blocks("```python\nx = 1\n```\n")
    [Block(language='python', code='x = 1\n', line=1)]
    """
    return [
        Block(
            match[1].strip(),
            re.sub(r"^:[\w-]+:.*\n", "", match[2], flags=re.MULTILINE),
            text[: match.start()].count("\n") + 1,
        )
        for match in FENCE.finditer(text)
    ]


def is_notebook(text: str) -> bool:
    """Whether a page is executed when the documentation is built."""
    return text.startswith("---\nfile_format: mystnb")
