"""The probes: measurements of an optimizer, learned or hand-designed.

A probe takes any object that offers `initial_state` and `step`, and `linearize` if it can.
"""
