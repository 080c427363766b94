"""Tests of `mechanisms`."""
