"""The probes: what is measured on an optimizer, learned or hand-designed.

Each takes any object that offers `initial_state` and `step`, and `linearize` if it can.
"""
