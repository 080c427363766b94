"""The implementations that come with loptbench, one folder each.

Each is registered by an entry point, as an implementation of anybody else would be (see
`loptbench.discovery`); no other part of loptbench imports them.
"""
