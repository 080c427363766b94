"""Runs longer than those that optimizers were made for: learned beside tuned baselines.

`loptbench horizon` measures them and writes a page. The table that is shipped was made by it.
"""

from loptbench.horizon.measuring import COLUMNS, MULTIPLES, measure, members, shipped

__all__ = ["COLUMNS", "MULTIPLES", "measure", "members", "shipped"]
