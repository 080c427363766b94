"""What differs between two stores: verdicts, how trials ended, what only one has, numbers."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loptbench.comparison.mechanisms import mechanism_numbers
from loptbench.comparison.objectives import objectives
from loptbench.comparison.pairs import differ, side_by_side
from loptbench.comparison.store_view import (
    IDENTITY,
    StoreView,
    read,
    trial_words,
)
from loptbench.results.frames.checks import WHOLE_TRIAL
from loptbench.results.frames.trials import NOT_RUN
from loptbench.results.schema.verdicts import Scope
from loptbench.results.store import Record, Store

if TYPE_CHECKING:
    from pandas import DataFrame

WORST_FIRST = ("failed", "diverged", NOT_RUN)
SCOPES = [str(scope) for scope in (Scope.ALL_SEEDS, Scope.ONE_FRAMEWORK, Scope.CHECKPOINT)]
TRIAL = [*IDENTITY, "label"]
VERDICT = ["edition", "kind", "claim", "task", "scope", "checkpoint", "preset", "implementations"]
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
        verdicts_a, verdicts_b = (view.frame("verdicts") for view in (self.a, self.b))
        all_verdicts = side_by_side(verdicts_a, verdicts_b, on=verdicts_a.columns)
        one_has = any((table["only_in"] != "").any() for table in (all_verdicts, self.trials))
        changes = (self.trials_changed, self.checks_changed, self.only, self.facts_changed)
        return not (one_has or any(map(len, changes)) or self.n_other_results)

    def headline(self) -> list[str]:
        """What came out, in a few clauses; one that nothing differs if so."""
        sides = (("A", self.a), ("B", self.b))
        empty = [name for name, view in sides if view.frame("trials").empty]
        if empty:
            which = "both stores are" if len(empty) == 2 else f"{empty[0]} is"
            return [f"{which} empty: there is nothing to compare"]
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
        deviating = [int((view.frame("means")["deviation"] != "").sum()) for _, view in sides]
        counts = [int((self.trials["only_in"] == side).sum()) for side in "AB"]
        seeds = [sorted(set(view.frame("trials")["seed"])) for _, view in sides]
        if seeds[0] != seeds[1]:
            of_a, of_b = (", ".join(map(str, own)) for own in seeds)
            parts.append(
                f"the seeds of the problems differ, and trials match by seed: A has {of_a}, B has "
                f"{of_b}"
            )
        if any(counts):
            parts.append(f"{counts[0]} trials are only in A, {counts[1]} only in B")
        if any(deviating):
            parts.append(f"{deviating[1]} means of evaluations deviate in B, {deviating[0]} in A")
        return parts


def compare(a: Store | Path | str, b: Store | Path | str) -> StoreComparison:
    """Compare the results in two stores, trial by trial and verdict by verdict.

    Trials match by what they are, whatever code ran them.

        changed = compare("results-before", "results-after").verdicts_changed

    Args:
        a: a store, or its folder.
        b: another store, or its folder.

    Raises:
        StoreError: one of the folders is not a store.
    """
    views = (read(side if isinstance(side, Store) else Store.open(Path(side))) for side in (a, b))
    view_a, view_b = views
    trials = _trials(view_a, view_b)
    return StoreComparison(
        view_a,
        view_b,
        _verdicts(view_a, view_b),
        trials,
        _checks(view_a, view_b, trials),
        _only(view_a, view_b),
        objectives(view_a, view_b),
        mechanism_numbers(view_a, view_b),
        _facts(view_a, view_b, trials),
    )


def _verdicts(a: StoreView, b: StoreView) -> "DataFrame":
    table = side_by_side(a.frame("verdicts"), b.frame("verdicts"), on=VERDICT)
    in_both = table["only_in"] == ""
    numbers = [(table[f"{name}_a"], table[f"{name}_b"]) for name in ("value", "low", "high")]
    subjects = table[["checkpoint", "preset", "implementations"]]
    return table.assign(
        changed=in_both & (table["outcome_a"] != table["outcome_b"]),
        difference=table["value_b"] - table["value_a"],
        differs=in_both & np.any([differ(*pair) for pair in numbers], axis=0),
        subject=[verdict_subject(*row) for row in subjects.itertuples(index=False)],
    ).sort_values(
        "scope", key=lambda scope: scope.map(SCOPES.index), kind="stable", ignore_index=True
    )


def verdict_subject(checkpoint: str, preset: str, implementations: str) -> str:
    """What a verdict is on, in words.

    >>> verdict_subject("", "quick", "jax torch")
    'quick, meta-trained in jax or torch'
    """
    if checkpoint:
        return f"checkpoint {checkpoint}"
    return f"{preset}, meta-trained in {' or '.join(implementations.split())}"


def _trials(a: StoreView, b: StoreView) -> "DataFrame":
    sides = []
    for view in (a, b):
        records = {record.name: record for record in view.contents.records}
        trials = view.frame("trials")[[*TRIAL, "status", "message", "record"]]
        no_record = "planned, but there is no record that can be read"
        sides.append(
            trials.assign(
                words=[trial_words(key) for key, _ in view.contents.trials()],
                message=trials["message"].mask(trials["status"] == NOT_RUN, no_record),
                outcome=trials["record"].map(records.get),
            )
        )
    table = side_by_side(*sides, on=[*TRIAL, "words"])
    outcomes = zip(table.pop("outcome_a"), table.pop("outcome_b"), strict=True)
    return table.assign(
        changed=(table["only_in"] == "") & (table["status_a"] != table["status_b"]),
        same_result=[is_same_result(*pair) for pair in outcomes],
    )


def is_same_result(a: Any, b: Any) -> bool:
    """Whether two records have the same result; without two records there is nothing to compare."""
    if not (isinstance(a, Record) and isinstance(b, Record)):
        return True
    return (a.status, a.message, a.result) == (b.status, b.message, b.result)


def _worst_first(changes: "DataFrame") -> "DataFrame":
    rank = {status: i for i, status in enumerate(WORST_FIRST)}
    places = changes["status_b"].map(rank).fillna(len(rank))
    return changes.loc[places.sort_values(kind="stable").index].reset_index(drop=True)


def _checks(a: StoreView, b: StoreView, trials: "DataFrame") -> "DataFrame":
    """The checks that both stores know; one that only one store knows is no change of a trial."""
    tables = [view.frame("checks") for view in (a, b)]
    known = set.intersection(*(set(table["check"]) for table in tables)) - {WHOLE_TRIAL}
    columns = [*TRIAL, "check", "level", "status", "ratio", "message"]
    chosen = [table[table["check"].isin(known)][columns] for table in tables]
    table = side_by_side(*chosen, on=[*TRIAL, "check"])
    ran = trials[trials[["status_a", "status_b"]].ne(NOT_RUN).all(axis=1)]
    table = table.merge(ran[ran["only_in"] == ""][[*TRIAL, "words"]], on=TRIAL)
    unknown = dict.fromkeys(("status_a", "status_b"), NOT_RUN)
    table = table.fillna(unknown | dict.fromkeys(("message_a", "message_b"), ""))
    return table.assign(changed=table["status_a"] != table["status_b"])


KINDS = ("implementation", "checkpoint", "task", "check")


def _only(a: StoreView, b: StoreView) -> "DataFrame":
    """What one store has: its kind, its name, which store, and why the other one lacks it."""
    import pandas as pd

    tables = []
    for view in (a, b):
        trials, checks = view.frame("trials"), view.frame("checks")["check"]
        learned = trials["optimizer"][trials["role"] == "checkpoint"]
        names = (trials["implementation"], learned, trials["task"], checks[checks != WHOLE_TRIAL])
        rows = [
            (kind, name) for kind, of in zip(KINDS, names, strict=True) for name in sorted({*of})
        ]
        tables.append(pd.DataFrame(rows, columns=["kind", "name"], dtype="str"))
    table = side_by_side(*tables, on=["kind", "name"])
    lacks_checks = any("check" not in set(side["kind"]) for side in tables)
    if lacks_checks:  # the trials that are missing say it
        table = table[table["kind"] != "check"]
    table = table[table["only_in"] != ""].sort_values("name")
    absent = {
        (side, state.name): f"in {other} {state.availability}: {state.reason}"
        for side, other, view in (("A", "B", b), ("B", "A", a))
        for state in (view.contents.plan.implementations if view.contents.plan else ())
        if state.availability != "installed"
    }
    table["note"] = [
        absent.get((side, name), "") if kind == "implementation" else ""
        for kind, name, side in table.itertuples(index=False)
    ]
    place = {"key": lambda kind: kind.map(KINDS.index), "kind": "stable"}
    return table.sort_values("kind", ignore_index=True, **place)


MACHINE = ("loptbench", "code", "commit", "dirty", "python", "platform", "processor", "cores")
"""Facts that come first, in this order; see `loptbench.results.provenance`."""

OF_TRIALS = {
    "source": "source of {implementation}",
    "problems": "definition of {task}",
    "weights": "weights of {label} on {task}",
    "hyperparameters": "hyperparameters of {of} on {task}",
    "n_problems": "number of problems, {trial}, {task}",
    "compared_with_oracle": "compared with the reference, {trial}, {label}, {task}",
}
"""The facts that decide a trial's result, by name; told of trials that both stores have."""


def _facts(a: StoreView, b: StoreView, trials: "DataFrame") -> "DataFrame":
    """Provenance of all records; what trials are made of, of those that both have."""
    import pandas as pd

    in_both = trials[trials["only_in"] == ""]
    sides: list[dict[str, set[str]]] = [{}, {}]
    for view, record, facts in zip((a, b), ("record_a", "record_b"), sides, strict=True):
        provenance = view.frame("provenance")
        is_told = ~provenance["fact"].isin(OF_TRIALS) | provenance["record"].isin(in_both[record])
        for row in provenance[is_told].to_dict("records"):
            name = OF_TRIALS.get(row["fact"], "{fact} of {of}" if row["of"] else "{fact}")
            facts.setdefault(name.format(**row), set()).add(row["value"])
    names = [*MACHINE, *sorted({*sides[0], *sides[1]} - {*MACHINE})]
    table = pd.DataFrame({"fact": [name for name in names if name in sides[0] | sides[1]]})
    return table.assign(
        **{
            side: [tuple(sorted(facts.get(name, ()))) for name in table["fact"]]
            for side, facts in zip("ab", sides, strict=True)
        }
    )
