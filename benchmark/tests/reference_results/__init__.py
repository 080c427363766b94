"""Tests of `loptbench.reference_results`."""
