"""Mechanisms that are kept for the confirmation of the claims, and that it has been spent."""

from collections.abc import Sequence

from loptbench.results.schema.base import Model, field
from loptbench.results.schema.verdicts import FIRST_CONFIRMATORY_SEED


class Confirmation(Model):
    """When the mechanisms of optimizers that were kept for the confirmation were looked at.

    It is written before they are measured: whoever has begun to look has looked.
    """

    spent: str = field("when the first were measured, UTC, as ISO 8601")
    code: str = field("SHA-256 of the sources of loptbench that decide a result, then")
    optimizers: dict[str, str] = field(
        "the learned optimizers, by name, with the SHA-256 of their weights"
    )

    @property
    def in_words(self) -> str:
        """That it has been spent, in one sentence."""
        return (
            f"The confirmation was spent on {self.spent}: from then on, mechanisms of "
            f"{_counted(len(self.optimizers))} were measured."
        )


def kept_in_words(names: Sequence[str]) -> str:
    """That mechanisms of learned optimizers were left out, in two sentences.

    Args:
        names: the names of the optimizers.
    """
    return (
        f"Mechanisms of {_counted(len(names))} are left out: they are kept for the confirmation of "
        "the claims. 'loptbench run --confirm' measures them, once."
    )


def _counted(n: int) -> str:
    of = "a learned optimizer" if n == 1 else f"{n} learned optimizers"
    return f"{of} with seeds from {FIRST_CONFIRMATORY_SEED} on"
