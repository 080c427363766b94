"""Tests of `agreement`."""
