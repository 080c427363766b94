"""`python -m loptbench` is `loptbench`."""

from loptbench.cli.main import main

main()
