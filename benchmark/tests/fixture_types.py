"""What the fixtures that are functions are."""

from collections.abc import Callable

from loptbench.results.store import Store

Command = Callable[..., tuple[int, str, str]]
"""`command`: arguments of `loptbench` to its exit code, standard output and error."""
Make = Callable[..., Store]
"""`make`: a name, records and verdicts to a store."""
