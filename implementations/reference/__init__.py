"""The oracle: NumPy in float64, every derivative written by hand, nothing clever.

No extra is needed. Read `gru.py` beside the equations of `loptbench.optimizers`.
"""
