"""The test suite. It ships in the wheel: `pytest --pyargs loptbench.tests`."""
