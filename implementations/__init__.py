"""The implementations: one folder each, found by being here.

A folder is an implementation if its `implementation.py` has a class called `Implementation` (see
`loptbench.protocol`). Its `__init__.py` may set `EXTRA`, the extra of loptbench that installs what
it needs. Nothing else is edited to add one.
"""
