"""Tests of `benchmark/optimizers`."""
