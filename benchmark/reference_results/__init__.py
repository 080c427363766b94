"""The reference results: tables of one complete run, shipped with loptbench.

>>> from loptbench.reference_results import table
>>> verdicts = table("verdicts")
>>> verdicts[verdicts["claim"] == "momentum"]["words"].iloc[0]
'reproduced'

`python -m loptbench.reference_results STORE` makes them from a store of a run of the whole zoo.
"""

from loptbench.reference_results.tables import About, about, table

__all__ = ["About", "about", "table"]
