"""Settings of the documentation; `tox run -e docs` builds it."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `docstrings`

project = "loptbench"
author = "the loptbench authors"
release = version = version_of("loptbench")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "loptbench"
html_show_copyright = False
html_static_path: list[str] = []

# Pages
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3  # a link may lead to any heading of these levels
default_role = "code"  # docstrings write `name`, not ``name``

# Notebooks: executed in every build, in a folder of their own.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_render_markdown_format = "gfm"  # with tables
nb_merge_streams = True
nb_output_stderr = "remove"

# Docstrings
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def setup(app):
    """Convert docstrings before napoleon, whose priority is 500, reads their sections."""
    from docstrings import process

    app.connect("autodoc-process-docstring", process, priority=100)
