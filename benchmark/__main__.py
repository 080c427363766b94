"""`python -m loptbench` is `loptbench`."""

from loptbench.cli import main

main()
