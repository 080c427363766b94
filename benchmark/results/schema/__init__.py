"""The types of everything that a store holds: one description of each result.

A result is made by constructing its model, written as that model's JSON, and validated against it
when it is read. Field names are the keys of the JSON; descriptions and units are the fields' own.
"""
