"""What `loptbench perf` times."""
