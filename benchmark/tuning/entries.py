"""A tuned optimizer: what a search found."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from loptbench.adapters.kinds import AdaptedKind
from loptbench.optimizers import EPSILON, OptimizerSpec, baseline
from loptbench.tuning.ranges import RANGES, Range
from loptbench.tuning.search import Settings

EDGE_FRACTION = 0.02
"""Fraction of the range, at either end, that counts as its edge."""


@dataclasses.dataclass(frozen=True)
class TunedBaseline:
    """A tuned baseline on a task.

    Attributes:
        kind: the baseline.
        task: the definition of the task: name, settings, data.
        settings: the settings of the search.
        hyperparameters: hyperparameters of the best draw.
        score: its meta-objective in float64, mean over the problems of the search.
        draw: its number; draws from `settings.n_draws` on are from boxes around the best.
        places: places of its hyperparameters in their ranges, 0 to 1.
        n_complete: number of draws that ran to their end.
        n_diverged: number of draws that diverged; all others were dropped early.
        best: hyperparameters and score of the best draws, best first.
        ranges: the ranges of its hyperparameters; None of a baseline, for those are `RANGES`.
    """

    kind: str
    task: Mapping[str, Any]
    settings: Mapping[str, Any]
    hyperparameters: Mapping[str, float]
    score: float
    draw: int
    places: Mapping[str, float]
    n_complete: int
    n_diverged: int
    best: Sequence[Mapping[str, float]]
    ranges: Mapping[str, Range] | None = None

    @property
    def spec(self) -> OptimizerSpec:
        """The tuned optimizer; its hyperparameters are validated."""
        if self.is_adapted:
            return AdaptedKind.parse(self.kind).spec(self.hyperparameters)
        return baseline(self.kind, EPSILON, **self.hyperparameters)

    @property
    def is_adapted(self) -> bool:
        """Whether it is an adapted optimizer and no baseline; `AdaptedKind.parse` reads its kind.

        Baselines have no colon in their names.
        """
        return ":" in self.kind

    @property
    def searched(self) -> Mapping[str, Range]:
        """The ranges of its hyperparameters."""
        return RANGES[self.kind] if self.ranges is None else self.ranges

    @property
    def n_draws(self) -> int:
        """Number of all draws, those in boxes included."""
        return Settings(**self.settings).n_total

    @property
    def on_edge(self) -> list[str]:
        """The hyperparameters on the edge of their range, which may be too narrow."""
        return [
            name
            for name, place in self.places.items()
            if not EDGE_FRACTION <= place <= 1 - EDGE_FRACTION
        ]
