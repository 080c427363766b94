"""What differs between two stores: verdicts, how trials ended, what only one has, numbers."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.comparison.mechanisms import mechanism_numbers
from loptbench.comparison.objectives import objectives
from loptbench.comparison.pairs import differ, side_by_side
from loptbench.comparison.store_view import (
    IDENTITY,
    StoreView,
    optimizer_label,
    read,
    trial_words,
)
from loptbench.results.frames.checks import WHOLE_TRIAL
from loptbench.results.frames.trials import NOT_RUN
from loptbench.results.schema.verdicts import Scope
from loptbench.results.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

WORST_FIRST = ("failed", "diverged", NOT_RUN)
SCOPES = (Scope.ALL_SEEDS, Scope.ONE_FRAMEWORK, Scope.CHECKPOINT)
VERDICT = ["claim", "task", "scope", "checkpoint", "preset", "implementations"]
"""What a verdict is on."""


@dataclasses.dataclass(frozen=True)
class StoreComparison:
    """Two stores side by side.

    The frames have the columns of those of a store, with `_a` or `_b` behind the names of what may
    differ. `only_in` is "A", "B", or "" for a row of both.

    Attributes:
        a: the first.
        b: the second.
        verdicts: all verdicts, those over all seeds first; `subject` in words, whether the outcome
            `changed`, `difference` of the values, whether four digits show that they differ.
        trials: all trials; `words`, the optimizer's `label`, `status` and `message`, whether the
            status `changed`, and whether the `same_result` was recorded.
        checks: the checks of trials that both have, if both know the check; otherwise as trials.
        only: implementations, checkpoints, tasks and checks that one has, and why.
        objectives: meta-objectives; see `loptbench.comparison.objectives`.
        mechanisms: numbers of the mechanisms; see `loptbench.comparison.mechanisms`.
        facts: code, versions, machine, and what the trials are made of: every value in each store.
    """

    a: StoreView
    b: StoreView
    verdicts: "DataFrame"
    trials: "DataFrame"
    checks: "DataFrame"
    only: "DataFrame"
    objectives: "DataFrame"
    mechanisms: "DataFrame"
    facts: "DataFrame"

    @property
    def verdicts_in_both(self) -> "DataFrame":
        """The verdicts that both stores have."""
        return self.verdicts[self.verdicts["only_in"] == ""]

    @property
    def verdicts_changed(self) -> "DataFrame":
        """The verdicts with another outcome."""
        return self.verdicts[self.verdicts["changed"]]

    @property
    def trials_in_both(self) -> "DataFrame":
        """The trials that both were to run."""
        return self.trials[self.trials["only_in"] == ""]

    @property
    def trials_changed(self) -> "DataFrame":
        """The trials that ended otherwise, the worst in B first."""
        return _worst_first(self.trials[self.trials["changed"]])

    @property
    def checks_changed(self) -> "DataFrame":
        """The checks that ended otherwise, the worst in B first."""
        return _worst_first(self.checks[self.checks["changed"]])

    @property
    def n_other_results(self) -> int:
        """The number of trials of which anything in the results differs."""
        return int((~self.trials_in_both["same_result"]).sum())

    @property
    def facts_changed(self) -> "DataFrame":
        """The facts with other values."""
        return self.facts[self.facts["a"] != self.facts["b"]]

    @property
    def is_same(self) -> bool:
        """Whether nothing at all differs."""
        verdicts_same = not len(self.verdicts) or self.verdicts["same"].all()
        one_has = len(self.only) or (self.trials["only_in"] != "").any()
        ended = len(self.trials_changed) or len(self.checks_changed) or self.n_other_results
        return bool(verdicts_same and not (one_has or ended or len(self.facts_changed)))

    def headline(self) -> list[str]:
        """What came out, in a few clauses; one that nothing differs if so."""
        if self.a.trials.empty and self.b.trials.empty:
            return ["both stores are empty: there is nothing to compare"]
        for name, view in (("A", self.a), ("B", self.b)):
            if view.trials.empty:
                return [f"{name} is empty: there is nothing to compare"]
        n_verdicts, n_trials = len(self.verdicts_in_both), len(self.trials_in_both)
        if self.is_same:
            return [f"nothing differs, in {n_trials} trials and {n_verdicts} verdicts"]
        parts = [
            f"{len(self.verdicts_changed)} of {n_verdicts} verdicts changed"
            if n_verdicts
            else "no verdict is in both"
        ]
        parts.append(f"{len(self.trials_changed)} of {n_trials} trials in both ended otherwise")
        if len(self.checks_changed):
            parts.append(f"{len(self.checks_changed)} checks ended otherwise")
        parts.append(f"{self.n_other_results} trials differ somewhere in their results")
        counts = [int((self.trials["only_in"] == side).sum()) for side in "AB"]
        if any(counts):
            parts.append(f"{counts[0]} trials are only in A, {counts[1]} only in B")
        return parts


def compare(store_a: Store, store_b: Store) -> StoreComparison:
    """Two stores side by side; trials match by what they are, whatever code ran them."""
    a, b = read(store_a), read(store_b)
    trials = _trials(a, b)
    return StoreComparison(
        a,
        b,
        _verdicts(a, b),
        trials,
        _checks(a, b, trials),
        _only(a, b),
        objectives(a, b),
        mechanism_numbers(a, b),
        _facts(a, b, trials),
    )


def _verdicts(a: StoreView, b: StoreView) -> "DataFrame":
    table = side_by_side(a.frame("verdicts"), b.frame("verdicts"), on=VERDICT)
    in_both = table["only_in"] == ""
    numbers = {name: (table[f"{name}_a"], table[f"{name}_b"]) for name in ("value", "low", "high")}
    differs = np.any([differ(*pair) for pair in numbers.values()], axis=0)
    same = in_both.copy()
    for name in a.frame("verdicts").columns.difference(VERDICT):
        ours, theirs = table[f"{name}_a"], table[f"{name}_b"]
        same &= (ours == theirs) | (ours.isna() & theirs.isna())
    table = table.assign(
        changed=in_both & (table["outcome_a"] != table["outcome_b"]),
        difference=numbers["value"][1] - numbers["value"][0],
        differs=in_both & differs,
        same=same,
        subject=[
            verdict_subject(*subject)
            for subject in table[["checkpoint", "preset", "implementations"]].itertuples(
                index=False, name=None
            )
        ],
    )
    scopes = [str(scope) for scope in SCOPES]
    order = table["scope"].map(scopes.index).sort_values(kind="stable").index
    return table.loc[order].reset_index(drop=True)


def verdict_subject(checkpoint: str, preset: str, implementations: str) -> str:
    """What a verdict is on, in words.

    >>> verdict_subject("", "quick", "jax torch")
    'quick, meta-trained in jax or torch'
    """
    if checkpoint:
        return f"checkpoint {checkpoint}"
    return f"{preset}, meta-trained in {' or '.join(implementations.split())}"


def _trials(a: StoreView, b: StoreView) -> "DataFrame":
    sides = [
        view.trials[[*IDENTITY, "status", "message", "record"]].assign(
            words=[trial_words(key) for key, _ in view.contents.trials()],
            message=view.trials["message"].mask(
                view.trials["status"] == NOT_RUN, "planned, but there is no record that can be read"
            ),
        )
        for view in (a, b)
    ]
    table = side_by_side(*sides, on=[*IDENTITY, "words"])
    records_a, records_b = (
        {record.name: record for record in view.contents.records} for view in (a, b)
    )

    def is_same(name_a: str, name_b: str) -> bool:
        ours, theirs = records_a.get(name_a), records_b.get(name_b)
        if ours is None or theirs is None:
            return True  # there is nothing to compare
        keys = ("status", "message", "result")
        return all(getattr(ours, key) == getattr(theirs, key) for key in keys)

    return table.assign(
        label=list(map(optimizer_label, table["role"], table["optimizer"])),
        changed=(table["only_in"] == "") & (table["status_a"] != table["status_b"]),
        same_result=list(map(is_same, table["record_a"], table["record_b"])),
    )


def _worst_first(changes: "DataFrame") -> "DataFrame":
    rank = {status: i for i, status in enumerate(WORST_FIRST)}
    places = changes["status_b"].map(lambda status: rank.get(status, len(rank)))
    return changes.loc[places.sort_values(kind="stable").index].reset_index(drop=True)


def _checks(a: StoreView, b: StoreView, trials: "DataFrame") -> "DataFrame":
    """The checks that both stores know; one that only one store knows is no change of a trial."""
    tables = [view.frame("checks") for view in (a, b)]
    known = set.intersection(*(set(table["check"]) for table in tables)) - {WHOLE_TRIAL}
    columns = [*IDENTITY, "check", "level", "status", "ratio", "message"]
    chosen = [table[table["check"].isin(known)][columns] for table in tables]
    table = side_by_side(*chosen, on=[*IDENTITY, "check"])
    ran = trials[(trials["status_a"] != NOT_RUN) & (trials["status_b"] != NOT_RUN)]
    table = table.merge(ran[ran["only_in"] == ""][[*IDENTITY, "words", "label"]], on=list(IDENTITY))
    for side in "ab":
        table[f"status_{side}"] = table[f"status_{side}"].fillna(NOT_RUN)
        table[f"message_{side}"] = table[f"message_{side}"].fillna("")
    return table.assign(changed=table["status_a"] != table["status_b"])


def _only(a: StoreView, b: StoreView) -> "DataFrame":
    """What one store has: its kind, its name, which store, and why the other one lacks it."""
    import pandas as pd

    def names(view: StoreView) -> dict[str, set[str]]:
        trials, checks = view.trials, view.frame("checks")["check"]
        return {
            "implementation": set(trials["implementation"]),
            "checkpoint": set(trials[trials["role"] == "checkpoint"]["optimizer"]),
            "task": set(trials["task"]),
            "check": set(checks) - {WHOLE_TRIAL},
        }

    ours, theirs = names(a), names(b)
    rows = []
    for kind in ours:
        if kind == "check" and not (ours[kind] and theirs[kind]):
            continue  # the trials that are missing say it
        for name in sorted(ours[kind] ^ theirs[kind]):
            side, other, where = ("A", b, "B") if name in ours[kind] else ("B", a, "A")
            why = other.absent_implementations.get(name, "") if kind == "implementation" else ""
            rows.append((kind, name, side, f"in {where} {why}" if why else ""))
    return pd.DataFrame(rows, columns=["kind", "name", "only_in", "note"])


MACHINE = ("loptbench", "code", "commit", "dirty", "python", "platform", "processor", "cores")
"""Facts that come first, in this order; see `loptbench.results.provenance`."""

OF_TRIALS = {
    "source": "source of {implementation}",
    "problems": "definition of {task}",
    "weights": "weights of {label} on {task}",
    "n_problems": "number of problems, {trial}, {task}",
    "compared_with_oracle": "compared with the reference, {trial}, {label}, {task}",
}
"""The facts that decide a trial's result, by name; told of trials that both stores have."""


def _facts(a: StoreView, b: StoreView, trials: "DataFrame") -> "DataFrame":
    """Provenance of all records; what trials are made of, of those that both have."""
    import pandas as pd

    in_both = trials[trials["only_in"] == ""]
    sides: list[dict[str, set[str]]] = []
    for view, side in ((a, "a"), (b, "b")):
        matched = set(in_both[f"record_{side}"])
        facts: dict[str, set[str]] = {}
        for row in view.frame("provenance").itertuples(index=False):
            about: dict[str, Any] = row._asdict()
            about["label"] = optimizer_label(row.role, row.optimizer)
            if row.fact in OF_TRIALS:
                name = OF_TRIALS[row.fact].format(**about)
            elif row.fact == "hyperparameters":
                name = f"hyperparameters of {row.of} on {row.task}"
            else:
                facts.setdefault(f"{row.fact} of {row.of}" if row.of else row.fact, set()).add(
                    row.value
                )
                continue
            if row.record in matched:
                facts.setdefault(name, set()).add(row.value)
        sides.append(facts)
    names = sorted(
        set(sides[0]) | set(sides[1]),
        key=lambda name: (MACHINE.index(name) if name in MACHINE else len(MACHINE), name),
    )
    values = [[tuple(sorted(facts.get(name, ()))) for name in names] for facts in sides]
    return pd.DataFrame({"fact": names, "a": values[0], "b": values[1]})
