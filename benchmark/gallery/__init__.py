"""Every optimizer of `torch.optim` and `optax` through the probes, in one table.

`loptbench gallery` measures them and writes a page. The table that is shipped was made by it.
"""

from loptbench.gallery.measuring import COLUMNS, TASK, measure, names, shipped

__all__ = ["COLUMNS", "TASK", "measure", "names", "shipped"]
