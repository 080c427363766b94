"""Make the tables of the reference results from a store, and read those that are shipped."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from loptbench.errors import LoptbenchError, StoreError
from loptbench.results.frames import FRAMES, Contents, frame_of
from loptbench.results.frames.trials import NOT_RUN
from loptbench.results.schema.base import Model, field
from loptbench.results.schema.keys import ALONE
from loptbench.results.schema.verdicts import Scope
from loptbench.results.store import FORMAT_VERSION, Store, to_bytes
from loptbench.storage.files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

TABLES = ("verdicts", "evaluations", "curves")
"""The tables that are shipped."""

DIGITS = "%.9g"
"""Digits of a number: more than any comparison looks at."""

CURVE_EVERY = 5
"""Of the loss curves every fifth step is kept."""

ADDED = ("device", "problems", "subject")
"""Columns of text that `evaluations` has besides those of its frame."""


class About(Model):
    """Where the reference results come from."""

    store_format: int = field("version of the format of the store that they were made from")
    claims: str = field("edition of the claims of their verdicts")
    n_trials: int = field("number of trials of the run")
    failed: tuple[str, ...] = field("a sentence for each trial that failed")
    facts: dict[str, str] = field("versions, platform and processor")


def about() -> About:
    """Where the shipped reference results come from.

    >>> about().claims
    '2'
    """
    return About.model_validate_json(_data("about.json").read_bytes())


def table(name: str) -> "DataFrame":
    """A table of the shipped reference results.

    The columns are those of the frame of the same name, see `Store.frame`. `evaluations` also has
    `seed`, `device`, `problems` and `subject`, which say what was evaluated. `curves` has every
    fifth step.

    Args:
        name: verdicts, evaluations or curves.

    Raises:
        LoptbenchError: there is no such table.

    >>> sorted(table("curves")["task"].unique())
    ['digits', 'quadratic', 'rosenbrock', 'two_moons']
    """
    import pandas as pd

    if name not in TABLES:
        raise LoptbenchError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    columns = FRAMES[name].columns.items()
    texts = [*ADDED, *(column for column, about in columns if about.dtype == "str")]
    with _data(f"{name}.csv").open() as file:
        read = pd.read_csv(file, float_precision="round_trip", dtype=dict.fromkeys(texts, "str"))
    # CSV does not tell an empty text from a missing one.
    return read.fillna(dict.fromkeys(read.columns.intersection(texts), ""))


def _data(name: str) -> "resources.abc.Traversable":
    return resources.files("loptbench.reference_results") / "data" / name


def tables_of(contents: Contents) -> "dict[str, DataFrame]":
    """The tables of the reference results, made from the contents of a store."""
    return {
        "verdicts": frame_of(contents, "verdicts"),
        "evaluations": evaluations(contents),
        "curves": _curves(contents),
    }


def evaluations(contents: Contents) -> "DataFrame":
    """The frame `evaluations`, with what decides its numbers.

    Returns: the frame without `record`, and with the columns

        seed, device    of the trial
        problems        the definition of the task
        subject         hash of the weights or the hyperparameters
    """
    table = frame_of(contents, "evaluations")
    trials = frame_of(contents, "trials").query(f"status != {NOT_RUN!r}")
    table = table.merge(trials[["record", "seed", "device"]], on="record")
    provenance = frame_of(contents, "provenance")
    facts = provenance.set_index(["record", "fact", "of"])["value"].to_dict()
    is_alone = table["role"].isin(ALONE)
    table["problems"] = [facts.get((record, "problems", ""), "") for record in table["record"]]
    table["subject"] = [
        facts.get((record, "weights", "") if own else (record, "hyperparameters", name), "")
        for record, own, name in zip(table["record"], is_alone, table["optimizer"], strict=True)
    ]
    return table.drop(columns="record")


def _curves(contents: Contents) -> "DataFrame":
    """Loss curves of baselines in one implementation, and of networks in the one they are from."""
    curves = frame_of(contents, "curves")
    own = (curves["role"] == "checkpoint") & (curves["implementation"] == curves["trained_by"])
    baselines = (curves["role"] == "tuned") & (curves["implementation"] == "jax")
    kept = curves[(own | baselines) & (curves["step"] % CURVE_EVERY == 0)]
    columns = ["task", "role", "optimizer", "preset", "trained_by", "meta_seed", "step"]
    return kept[[*columns, "loss_mean", "loss_standard_error"]]


def make(store: Store, folder: Path) -> None:
    """Write the reference results of a store.

    Args:
        store: the store of a run of the whole zoo, in both frameworks.
        folder: where to write the tables.

    Raises:
        StoreError: a trial was not run, or there are no verdicts over seeds.
    """
    contents = Contents.of(store)
    trials = frame_of(contents, "trials")
    missing = trials[trials["status"] == NOT_RUN]
    if len(missing):
        first = missing.iloc[0]
        raise StoreError(
            f"{store.folder}: {len(missing)} trials were not run, the first is {first['trial']} of "
            f"{first['optimizer']} on {first['task']}; reference results are those of a whole run"
        )
    tables = tables_of(contents)
    editions = tables["verdicts"].query(f"scope == {str(Scope.ALL_SEEDS)!r}")["edition"].unique()
    if len(editions) != 1:
        raise StoreError(f"{store.folder} has no verdicts over seeds; 'loptbench run' draws them")
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in tables.items():
        text = made.to_csv(index=False, float_format=DIGITS, lineterminator="\n")
        write_atomically(folder / f"{name}.csv", text.encode())
    failed = trials[trials["status"] == "failed"]
    described = About(
        store_format=FORMAT_VERSION,
        claims=editions[0],
        n_trials=len(trials),
        failed=tuple(
            f"{row.trial} of {row.optimizer} on {row.task} in {row.implementation}, {row.dtype}"
            for row in failed.itertuples()
        ),
        facts=facts_of(contents),
    )
    write_atomically(folder / "about.json", to_bytes(described))


MACHINE = ("loptbench", "python", "platform", "processor")


def facts_of(contents: Contents) -> dict[str, str]:
    """Versions, platform and processor of the records; several values are joined by commas."""
    provenance = frame_of(contents, "provenance")
    chosen = provenance[provenance["fact"].isin((*MACHINE, "version"))]
    names = chosen["of"].where(chosen["fact"] == "version", chosen["fact"])
    values = chosen.assign(name=names).groupby("name")["value"]
    return {str(name): ", ".join(sorted(set(own))) for name, own in values}
