"""Comparison of an implementation with the oracle, and its tolerances."""
