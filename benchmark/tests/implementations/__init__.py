"""Tests of `implementations`."""
