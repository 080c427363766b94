"""The numbers of two stores side by side: meta-objectives, mechanisms, errors over bounds."""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from loptbench.comparison.views import Match, Side, mapping, number, sequence
from loptbench.optimizers import BASELINES
from loptbench.results.plain import PlainRecord as Record
from loptbench.statistics.bootstrap import Sample, over_problems

SHOWN = 5e-5
"""Numbers are shown to four digits: a relative difference below half a unit of the fourth of 9.999
cannot be seen, and is told apart from one that can."""


def shows(a: float | None, b: float | None) -> bool:
    """Whether two numbers differ by what four digits can show; None is a number that is not."""
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return a != b
    return abs(a - b) > SHOWN * max(abs(a), abs(b))


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean meta-objective.

    Attributes:
        value: the mean over problems; infinite where a run diverged, None where there is none.
        n_problems: how many problems it is over.
        n_diverged: how many runs diverged.
    """

    value: float | None = None
    n_problems: int = 0
    n_diverged: int = 0

    @classmethod
    def of(cls, objective: Sequence[float | None]) -> "Mean":
        """The mean of the meta-objectives of all problems; None is of a run that diverged."""
        if not objective:
            return cls()
        n_diverged = sum(one is None for one in objective)
        finite = [one for one in objective if one is not None]
        return cls(math.inf if n_diverged else float(np.mean(finite)), len(objective), n_diverged)


@dataclasses.dataclass(frozen=True)
class Objective:
    """One optimizer's meta-objective on one task in both stores.

    Attributes:
        match: the evaluation trial, with the optimizer's own label.
        a: in A.
        b: in B.
        ratio: B's mean over A's; None if either is not finite, or they are of other problems.
        low: the lower end of its paired 95 % interval over problems; None if there is none.
        high: the upper end.
        why: why there is no interval; empty if there is one.
        identical: whether every problem's meta-objective is the same number.
        note: what else is to know, such as that the weights differ.
    """

    match: Match
    a: Mean
    b: Mean
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""
    identical: bool = False
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether the means differ by what four digits can show."""
        return shows(self.a.value, self.b.value) or self.a.n_diverged != self.b.n_diverged


def pairs(a: Side, b: Side, trial: str) -> Iterator[tuple[Match, Record, Record]]:
    """The trials of a kind in both: of one seed, or, where there is one in each, of two seeds."""
    sides = []
    for side in (a, b):
        places: dict[Match, dict[str, Record]] = {}
        for match, record in side.records.items():
            if match.trial == trial:
                places.setdefault(match._replace(seed=""), {})[match.seed] = record
        sides.append(places)
    for place in sorted(set(sides[0]) & set(sides[1])):
        ours, theirs = sides[0][place], sides[1][place]
        common = sorted(set(ours) & set(theirs))
        for seed in common:
            yield place._replace(seed=seed), ours[seed], theirs[seed]
        if not common and len(ours) == len(theirs) == 1:
            (s, one), (t, other) = *ours.items(), *theirs.items()
            yield place._replace(seed=f"{s} in A, {t} in B"), one, other


def objectives(a: Side, b: Side) -> list[Objective]:
    """The meta-objectives of everything evaluated in both, those that differ most first."""
    found = []
    for match, one, other in pairs(a, b, "evaluation"):
        ours, theirs = _by_optimizer(one), _by_optimizer(other)
        for label in dict.fromkeys((*ours, *theirs)):
            row = _objective(
                match._replace(optimizer=label),
                (one.key, ours.get(label, [])),
                (other.key, theirs.get(label, [])),
            )
            found.append(dataclasses.replace(row, note=_other_weights(one, other, label)))

    def nearness(one: Objective) -> tuple[bool, bool, float]:
        change = abs(math.log(one.ratio)) if one.ratio is not None and one.ratio > 0 else math.inf
        return not one.differs, one.identical, -change

    return sorted(found, key=nearness)


def _by_optimizer(record: Record) -> dict[str, list[float | None]]:
    """The meta-objectives of each problem by optimizer; an empty list where they are not told."""
    found = {
        f"tuned {label}" if label in BASELINES else label: mapping(one).get("objective")
        for label, one in mapping(record.result.get("baselines")).items()
    }
    if "learned" in record.result:
        found[str(record.key["optimizer"])] = mapping(record.result["learned"]).get("objective")
    return {
        label: list(values)
        if all(one is None or number(one) is not None for one in sequence(values))
        else []
        for label, values in ((label, sequence(one)) for label, one in found.items())
    }


def _other_weights(one: Record, other: Record, label: str) -> str:
    kind = label.removeprefix("tuned ")
    hashes = [
        mapping(record.key.get("baselines")).get(kind)
        if record.key["optimizer"] == "baselines"
        else record.key.get("weights")
        for record in (one, other)
    ]
    return "" if hashes[0] == hashes[1] else "other weights or hyperparameters of the same name"


Told = tuple[Mapping[str, Any], list[float | None]]


def _objective(match: Match, in_a: Told, in_b: Told) -> Objective:
    """Two lists of meta-objectives, paired if they are of the same problems.

    Args:
        match: what they are of.
        in_a: the key of A's record, and the meta-objective of each problem.
        in_b: the same of B.
    """
    (key_a, values_a), (key_b, values_b) = in_a, in_b
    a, b = Mean.of(values_a), Mean.of(values_b)
    row = Objective(match, a, b)
    for name, mean in (("A", a), ("B", b)):
        if mean.value is None:
            return dataclasses.replace(row, why=f"{name} has no meta-objectives of it")
    same = [key_a.get(name) == key_b.get(name) for name in ("problems", "seed")]
    if not same[0]:
        return dataclasses.replace(row, why="not the same problems: the task is defined otherwise")
    identical = all(same) and values_a == values_b
    row = dataclasses.replace(row, identical=identical)
    if a.n_diverged or b.n_diverged:
        told = [f"{m.n_diverged} of {m.n_problems} runs in {s}" for s, m in (("A", a), ("B", b))]
        return dataclasses.replace(row, why=f"diverged: {', '.join(told)}")
    if not a.value:
        return dataclasses.replace(row, why="the mean in A is 0")
    row = dataclasses.replace(row, ratio=float(b.value or 0.0) / a.value)
    if not same[1]:
        why = f"not the same problems: seed {key_a.get('seed')} in A, {key_b.get('seed')} in B"
        return dataclasses.replace(row, why=why)
    if a.n_problems != b.n_problems:
        why = f"not the same problems: {a.n_problems} in A, {b.n_problems} in B"
        return dataclasses.replace(row, why=why)
    if a.n_problems < 2:
        return dataclasses.replace(row, why="one problem has no interval")
    if identical:  # no resample can differ, so there is nothing to draw
        return dataclasses.replace(row, low=1.0, high=1.0)
    sample = Sample(np.array(values_b, float), np.array(values_a, float))
    found = over_problems(sample).within(0.0, math.inf)
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return dataclasses.replace(row, why="resamples of it have no finite ratio")
    return dataclasses.replace(row, ratio=found.value, low=found.low, high=found.high)


@dataclasses.dataclass(frozen=True)
class MechanismNumber:
    """One number of a probe of the mechanisms, in both stores.

    Attributes:
        match: the trial.
        probe: the probe.
        name: what the number is.
        a: in A; None if there is none.
        b: in B.
        why_a: why there is none in A.
        why_b: why there is none in B.
    """

    match: Match
    probe: str
    name: str
    a: float | None
    b: float | None
    why_a: str = ""
    why_b: str = ""

    @property
    def difference(self) -> float | None:
        """B's minus A's."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def differs(self) -> bool:
        """Whether they differ by what four digits can show, or one is not there."""
        return shows(self.a, self.b)


Pick = Callable[[Mapping[str, Any]], Any]


def _at(name: str, place: int) -> Pick:
    """One arm's: negative gradients come first."""
    return lambda found: (*sequence(found.get(name)), None, None)[place]


def _half_saturation(place: int) -> Pick:
    def pick(found: Mapping[str, Any]) -> Any:
        states = (mapping(one) for one in sequence(found.get("states")))
        at_point = next((one for one in states if one.get("where") == "h*"), {})
        return _at("half_saturation", place)(at_point)

    return pick


def _starts(found: Mapping[str, Any]) -> Any:
    reached, of = number(found.get("other_starts_at_this_point")), number(found.get("other_starts"))
    return None if reached is None or not of else reached / of


def _named(*names: str) -> dict[str, Pick]:
    return {name.replace("_", " "): operator.methodcaller("get", name) for name in names}


NUMBERS: dict[str, dict[str, Pick]] = {
    "convergence_point": _named("spectral_radius") | {"share of other starts there": _starts},
    "momentum": {"momentum index": operator.methodcaller("get", "index")}
    | _named("effective_rate", "asymptotic_rate", "r2_near_convergence", "r2_whole_run"),
    "clipping": {
        "half-saturation at h*, g < 0": _half_saturation(0),
        "half-saturation at h*, g > 0": _half_saturation(1),
    }
    | _named("reach", "engagement", "largest_gradient"),
    "schedule": _named("peak_step", "peak_over_first", "last_over_peak", "lowest_over_highest"),
    "adaptation": {
        "elasticity, g < 0": _at("elasticity", 0),
        "elasticity, g > 0": _at("elasticity", 1),
        "rank correlation, g < 0": _at("rank_correlation", 0),
        "rank correlation, g > 0": _at("rank_correlation", 1),
    },
}
"""The numbers of each probe; see `loptbench.mechanisms`."""


def mechanism_numbers(a: Side, b: Side) -> list[MechanismNumber]:
    """The numbers that either store has of what both measured, the largest differences first."""
    found = []
    for match, one, other in pairs(a, b, "mechanisms"):
        for probe, picks in NUMBERS.items():
            for name, pick in picks.items():
                in_a, why_a = _told(one, probe, pick)
                in_b, why_b = _told(other, probe, pick)
                if in_a is not None or in_b is not None:
                    row = MechanismNumber(match, probe, name, in_a, in_b, why_a, why_b)
                    found.append(row)
    return sorted(found, key=lambda one: -_relative(one))


def _relative(one: MechanismNumber) -> float:
    if one.a is None or one.b is None:
        return math.inf
    return abs(one.b - one.a) / (max(abs(one.a), abs(one.b)) or 1.0) if one.differs else 0.0


def _told(record: Record, probe: str, pick: Pick) -> tuple[float | None, str]:
    """The number, or None and why there is none."""
    found = record.result.get(probe)
    if not isinstance(found, Mapping):
        return None, "not measured"
    if "not_applicable" in found:
        return None, f"not applicable: {found['not_applicable']}"
    value = number(pick(found))
    return value, "" if value is not None else "there is no such number, or it is not finite"
