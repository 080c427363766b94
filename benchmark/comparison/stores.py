"""What differs between two stores: verdicts, how trials ended, what only one has, numbers."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from loptbench.claims.verdicts import Scope
from loptbench.comparison.numbers import (
    MechanismNumber,
    Objective,
    mechanism_numbers,
    objectives,
    shows,
)
from loptbench.comparison.views import (
    NOT_RUN,
    Match,
    Side,
    VerdictMatch,
    mapping,
    number,
    read,
)
from loptbench.results.plain import PlainRecord as Record
from loptbench.results.store import Store

T = TypeVar("T")

WORST_FIRST = ("failed", "diverged", NOT_RUN)
SCOPES = (Scope.ALL_SEEDS, Scope.ONE_FRAMEWORK, Scope.CHECKPOINT)


class Ended(NamedTuple):
    """How a trial or a check ended, and what was said of it."""

    status: str
    message: str = ""


@dataclasses.dataclass(frozen=True)
class StatusChange:
    """A trial, or one check of a trial if `check` names it, that ended otherwise in B than in A."""

    match: Match
    a: Ended
    b: Ended
    check: str = ""


@dataclasses.dataclass(frozen=True)
class VerdictPair:
    """A verdict that both stores have."""

    match: VerdictMatch
    a: Mapping[str, Any]
    b: Mapping[str, Any]

    @property
    def changed(self) -> bool:
        """Whether the outcome is another."""
        return bool(self.a["outcome"] != self.b["outcome"])

    @property
    def difference(self) -> float | None:
        """B's value minus A's; None if one has none."""
        a, b = number(self.a.get("value")), number(self.b.get("value"))
        return None if a is None or b is None else b - a

    @property
    def differs(self) -> bool:
        """Whether value or interval differs by what four digits can show."""
        return any(
            shows(number(self.a.get(name)), number(self.b.get(name)))
            for name in ("value", "low", "high")
        )


@dataclasses.dataclass(frozen=True)
class OnlyIn:
    """Something that one of the stores has: what kind of thing, its name, which store, and why."""

    kind: str
    name: str
    side: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Fact:
    """Something that explains results: every value it has in A, and in B."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class StoreComparison:
    """Two stores side by side.

    Attributes:
        a: the first.
        b: the second.
        verdicts: those that both have, those over all seeds first.
        verdicts_in_one: those that one has, and which.
        trials: trials that ended otherwise, the worst first.
        checks: checks that ended otherwise, the worst first.
        only: implementations, checkpoints, tasks and checks that one has.
        trials_in_one: trials that one was to run, and which.
        n_in_both: how many trials both were to run.
        other_results: the trials of which anything in the results differs.
        objectives: meta-objectives.
        mechanisms: numbers of the mechanisms.
        facts: code, versions, machine, and what the trials are made of.
    """

    a: Side
    b: Side
    verdicts: Sequence[VerdictPair]
    verdicts_in_one: Sequence[tuple[VerdictMatch, str]]
    trials: Sequence[StatusChange]
    checks: Sequence[StatusChange]
    only: Sequence[OnlyIn]
    trials_in_one: Sequence[tuple[Match, str]]
    n_in_both: int
    other_results: Sequence[Match]
    objectives: Sequence[Objective]
    mechanisms: Sequence[MechanismNumber]
    facts: Sequence[Fact]

    @property
    def verdicts_changed(self) -> list[VerdictPair]:
        """The verdicts with another outcome."""
        return [one for one in self.verdicts if one.changed]

    @property
    def facts_changed(self) -> list[Fact]:
        """The facts with other values."""
        return [one for one in self.facts if one.a != one.b]

    @property
    def is_same(self) -> bool:
        """Whether nothing at all differs."""
        one_has = self.verdicts_in_one or self.only or self.trials_in_one
        other = self.verdicts_changed or any(dict(one.a) != dict(one.b) for one in self.verdicts)
        ended = self.trials or self.checks or self.other_results
        return not (one_has or other or ended or self.facts_changed)

    def headline(self) -> list[str]:
        """What came out, in a few clauses; one that nothing differs if so."""
        if not self.a.planned and not self.b.planned:
            return ["both stores are empty: there is nothing to compare"]
        for name, side in (("A", self.a), ("B", self.b)):
            if not side.planned:
                return [f"{name} is empty: there is nothing to compare"]
        if self.is_same:
            n = len(self.verdicts)
            return [f"nothing differs, in {self.n_in_both} trials and {n} verdicts"]
        parts = [
            f"{len(self.verdicts_changed)} of {len(self.verdicts)} verdicts changed"
            if self.verdicts
            else "no verdict is in both"
        ]
        parts.append(f"{len(self.trials)} of {self.n_in_both} trials in both ended otherwise")
        if self.checks:
            parts.append(f"{len(self.checks)} checks ended otherwise")
        parts.append(f"{len(self.other_results)} trials differ somewhere in their results")
        if self.trials_in_one:
            counts = [sum(side == s for _, side in self.trials_in_one) for s in "AB"]
            parts.append(f"{counts[0]} trials are only in A, {counts[1]} only in B")
        return parts


def compare(store_a: Store, store_b: Store) -> StoreComparison:
    """Two stores side by side; trials match by what they are, whatever code ran them."""
    a, b = read(store_a), read(store_b)
    theirs = set(b.planned)
    both = [match for match in a.planned if match in theirs]
    in_both = {m: None for m in both if m in a.records and m in b.records}
    return StoreComparison(
        a,
        b,
        _verdicts(a, b),
        _in_one(a.verdicts, b.verdicts),
        _trials(a, b, both),
        _checks(a, b, in_both),
        _only(a, b),
        _in_one(a.planned, b.planned),
        len(both),
        [match for match in in_both if _outcome(a.records[match]) != _outcome(b.records[match])],
        objectives(a, b),
        mechanism_numbers(a, b),
        _facts(a, b, in_both),
    )


def _verdicts(a: Side, b: Side) -> list[VerdictPair]:
    def rank(one: VerdictPair) -> int:
        scopes = [str(scope) for scope in SCOPES]
        return scopes.index(one.match.scope) if one.match.scope in scopes else len(scopes)

    both = (match for match in a.verdicts if match in b.verdicts)
    return sorted((VerdictPair(m, a.verdicts[m], b.verdicts[m]) for m in both), key=rank)


def _outcome(record: Record) -> tuple[Any, ...]:
    return record.status, record.message, record.result


def _in_one(a: Iterable[T], b: Iterable[T]) -> list[tuple[T, str]]:
    ours, theirs = dict.fromkeys(a), dict.fromkeys(b)
    in_a = [(one, "A") for one in ours if one not in theirs]
    return in_a + [(one, "B") for one in theirs if one not in ours]


def _worst_first(changes: list[StatusChange]) -> list[StatusChange]:
    def rank(one: StatusChange) -> int:
        status = one.b.status
        return WORST_FIRST.index(status) if status in WORST_FIRST else len(WORST_FIRST)

    return sorted(changes, key=rank)


def _trials(a: Side, b: Side, both: Sequence[Match]) -> list[StatusChange]:
    def ended(side: Side, match: Match) -> Ended:
        record = side.records.get(match)
        if record is None:
            return Ended(NOT_RUN, "planned, but there is no record that can be read")
        return Ended(str(record.status), record.message)

    found = [StatusChange(match, ended(a, match), ended(b, match)) for match in both]
    return _worst_first([one for one in found if one.a.status != one.b.status])


def _checks(a: Side, b: Side, in_both: Collection[Match]) -> list[StatusChange]:
    ours, theirs = a.checks(), b.checks()
    known = {name for _, name in ours} & {name for _, name in theirs}
    found = []
    for match, name in dict.fromkeys((*ours, *theirs)):
        # A check that only one store knows is no change of each of its trials.
        if match in in_both and name in known:
            one, other = ours.get((match, name)), theirs.get((match, name))
            ended_a = Ended(one.status, one.message) if one else Ended(NOT_RUN)
            ended_b = Ended(other.status, other.message) if other else Ended(NOT_RUN)
            if ended_a.status != ended_b.status:
                found.append(StatusChange(match, ended_a, ended_b, name))
    return _worst_first(found)


def _only(a: Side, b: Side) -> list[OnlyIn]:
    def named(side: Side, field: str) -> set[str]:
        return {str(getattr(match, field)) for match in side.planned}

    kinds = {
        "implementation": (named(a, "implementation"), named(b, "implementation")),
        "checkpoint": tuple(
            {
                one.removeprefix("checkpoint ")
                for one in named(side, "optimizer")
                if one.startswith("checkpoint ")
            }
            for side in (a, b)
        ),
        "task": (named(a, "task"), named(b, "task")),
        "check": tuple({name for _, name in side.checks()} for side in (a, b)),
    }
    found = []
    for kind, (ours, theirs) in kinds.items():
        if kind == "check" and not (ours and theirs):
            continue  # the trials that are missing say it
        for name in sorted(ours ^ theirs):
            side, other = ("A", b) if name in ours else ("B", a)
            note = other.absent.get(name, "") if kind == "implementation" else ""
            where = "B" if side == "A" else "A"
            found.append(OnlyIn(kind, name, side, f"in {where} {note}" if note else ""))
    return found


MACHINE = (
    "loptbench",
    "code",
    "commit",
    "dirty",
    "python",
    "platform",
    "processor",
    "cores",
)
"""Facts that come first, in this order; see `loptbench.results.provenance`."""

MEASURED = ("seconds",)
"""What records tell of single trials, which is another each time: no fact of a store."""


def _facts(a: Side, b: Side, in_both: Collection[Match]) -> list[Fact]:
    """Provenance of all records; what trials are made of, of those that both have."""
    told: list[dict[str, set[str]]] = []
    for side in (a, b):
        facts: dict[str, set[str]] = {}
        for match, record in side.records.items():
            named = {**record.provenance, "code": record.key.get("code")}
            named = {name: one for name, one in named.items() if name not in MEASURED}
            versions = mapping(record.key.get("versions"))
            named |= {f"version of {name}": one for name, one in versions.items()}
            if match in in_both:
                named |= _made_of(match, record.key)
            for name, value in named.items():
                if value is not None:
                    facts.setdefault(str(name), set()).add(_text(value))
        told.append(facts)
    names = sorted(
        set(told[0]) | set(told[1]),
        key=lambda name: (MACHINE.index(name) if name in MACHINE else len(MACHINE), name),
    )
    values = [[tuple(sorted(facts.get(name, ()))) for facts in told] for name in names]
    return [Fact(name, one, other) for name, (one, other) in zip(names, values, strict=True)]


def _made_of(match: Match, key: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a trial's result, besides code and versions."""
    found = {
        f"source of {match.implementation}": key.get("source"),
        f"definition of {match.task}": key.get("problems"),
        f"weights of {match.optimizer} on {match.task}": key.get("weights"),
        f"number of problems, {match.trial}, {match.task}": key.get("n_problems"),
    }
    baselines = mapping(key.get("baselines"))
    return found | {
        f"hyperparameters of {name} on {match.task}": one for name, one in baselines.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
