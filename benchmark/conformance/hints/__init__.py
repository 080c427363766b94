"""Hints: what a known mistake would give, tried against the numbers of a failed check.

A port of an optimizer usually fails for one of a few reasons: the reset gate after the product, ε
inside the root, a missing bias correction. `steps` and `evaluations` list such mistakes for each
kind and task. If one gives the numbers that were seen, within the check's own bounds, the message
says so: "this is what ... would give".
"""

from loptbench.conformance.hints.evaluations import explain_evaluation
from loptbench.conformance.hints.matching import Mistake, matching
from loptbench.conformance.hints.outer import explain_outer_steps
from loptbench.conformance.hints.runs import explain_arrays
from loptbench.conformance.hints.steps import explain_step

__all__ = [
    "Mistake",
    "explain_arrays",
    "explain_evaluation",
    "explain_outer_steps",
    "explain_step",
    "matching",
]
