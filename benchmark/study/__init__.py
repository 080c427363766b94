"""The trials of a benchmark run, and their execution."""
