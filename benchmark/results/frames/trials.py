"""Frames of the trials: how they ended, how long they took, where they come from."""

import json
from collections.abc import Iterator

from loptbench.results.frames.columns import (
    OPTIMIZER,
    RECORD,
    TRAINING,
    Block,
    Column,
    Frame,
    count,
    flag,
    number,
)
from loptbench.results.frames.contents import Contents, optimizer_columns
from loptbench.results.schema.keys import TrialKey
from loptbench.results.schema.records import Record

NOT_RUN = "not run"


def _trials(contents: Contents) -> Iterator[Block]:
    for key, record in contents.trials():
        yield _trial(contents, key, record, contents.plan is not None)
    for record in contents.unplanned:
        yield _trial(contents, record.key, record, False)


def _trial(contents: Contents, key: TrialKey, record: Record | None, planned: bool) -> Block:
    return {
        **optimizer_columns(key),
        "kind": contents.optimizer_columns(key)["kind"],
        "trial": str(key.trial),
        "seed": key.seed,
        "device": key.device,
        "status": str(record.status) if record else NOT_RUN,
        "message": record.message if record else "",
        "seconds": record.provenance.seconds if record else None,
        "planned": planned,
        "record": key.name,
    }


TRIALS = Frame(
    "one trial, with or without a record",
    {
        **OPTIMIZER,
        "kind": TRAINING["kind"],
        "trial": Column("the kind of trial: evaluation, mechanisms or conformance"),
        "seed": count("the seed of the problems"),
        "device": Column("the device of the computation"),
        "status": Column(f"ok, failed or diverged; '{NOT_RUN}' without a record"),
        "message": Column("why it failed or diverged; empty otherwise"),
        "seconds": number("the time that the trial took", "s"),
        "planned": flag("whether the trial belongs to the last run's plan"),
        **RECORD,
    },
    _trials,
)


def _timings(contents: Contents) -> Iterator[Block]:
    for record in contents.records:
        yield {
            **optimizer_columns(record.key),
            "trial": str(record.key.trial),
            "seconds": record.provenance.seconds,
            "compile_seconds": record.provenance.compile_seconds,
            "record": record.name,
        }


TIMINGS = Frame(
    "the time that one trial took",
    {
        **OPTIMIZER,
        "trial": Column("the kind of trial"),
        "seconds": number("the time that the trial took", "s"),
        "compile_seconds": number("of it, compiling; missing if not measured", "s"),
        **RECORD,
    },
    _timings,
)

IDENTITY = {"trial", "implementation", "optimizer", "task", "dtype", "seed", "device"}
"""The parts of a key that say which trial it is; all others decide its result."""


def _provenance(contents: Contents) -> Iterator[Block]:
    for record in contents.records:
        provenance = record.provenance.model_dump(
            mode="json", exclude={"seconds", "compile_seconds"}
        )
        facts = {(name, ""): value for name, value in provenance.items()}
        facts["code", ""] = record.key.code
        for name, value in record.key.model_dump(mode="json", exclude=IDENTITY).items():
            if name in PLURALS:
                facts |= {(PLURALS[name], of): item for of, item in value.items()}
            else:
                facts[name, ""] = value
        texts = {
            fact: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for fact, value in facts.items()
            if value is not None
        }
        yield {
            "record": record.name,
            "fact": [name for name, _ in texts],
            "of": [of for _, of in texts],
            "value": list(texts.values()),
        }


PLURALS = {"versions": "version", "baselines": "hyperparameters"}
"""The parts of a key that hold several facts, and the name of each fact."""

PROVENANCE = Frame(
    "one fact that decides or explains a record",
    {
        **RECORD,
        "fact": Column("its name, such as code, commit, weights, version or hyperparameters"),
        "of": Column("the distribution of a version, the baseline of hyperparameters; else empty"),
        "value": Column("its value: text, or JSON"),
    },
    _provenance,
)
