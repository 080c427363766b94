"""The oracle: NumPy in float64, every derivative written by hand, no optimization for speed.

Read `optimizers/gru.py` beside the equations of `loptbench.optimizers`.
"""
