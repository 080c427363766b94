"""The implementations that come with loptbench, one folder each.

Each is registered by an entry point, like an implementation from any other package (see
`loptbench.discovery`). No other part of loptbench imports them.
"""
