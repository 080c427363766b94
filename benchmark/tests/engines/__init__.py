"""Tests of loptbench.engines."""
