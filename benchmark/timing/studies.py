"""Where the time of a run goes: its trials by kind, implementation and task."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

KINDS_OF_TRIALS = ["trial", "implementation", "task"]


def time_by_kind(timings: "DataFrame") -> "DataFrame":
    """The time of trials of one kind, implementation and task, the longest in all first.

        time_by_kind(Store.open(Path("results")).frame("timings"))

    Args:
        timings: the frame `timings` of a store.

    Returns: a row for each kind, with these columns:
        trial, implementation, task: the kind.
        trials: their number.
        seconds: their time in all.
        compiling: of it, the seconds of compilation; NaN where none of them measured it.
        computing: the others; NaN where compilation is not measured.
        longest: the seconds of the longest trial.
        share: of the time of all trials.
    """
    kinds = timings.groupby(KINDS_OF_TRIALS, sort=False)
    table = kinds.agg(
        trials=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
    )
    table["compiling"] = kinds["compile_seconds"].sum(min_count=1)
    table["computing"] = table["seconds"] - table["compiling"]
    table["share"] = table["seconds"] / table["seconds"].sum()
    columns = ["trials", "seconds", "compiling", "computing", "longest", "share"]
    table = table[columns].sort_values("seconds", ascending=False, kind="stable")
    return table.reset_index()
