"""Frames of the verdicts, and of the readings of each claim beside them."""

from collections.abc import Iterator
from typing import Any

from loptbench.results.frames.columns import Block, Column, Frame, count, flag, number
from loptbench.results.frames.contents import Contents
from loptbench.results.schema.verdicts import DEPENDS_ON_READING, Verdict

SUBJECT = {
    "edition": Column("the edition of the claims: 1, 2, or the name of a file"),
    "task": Column("the task; of a claim that compares two, both"),
    "claim": Column("the claim's name"),
    "title": Column("the claim's title"),
    "kind": Column("confirmatory, on seeds from 10 on; else exploratory"),
    "scope": Column("checkpoint, all seeds, or one framework's seeds"),
    "checkpoint": Column("the checkpoint; empty for a verdict on seeds"),
    "preset": Column("the preset of the seeds; empty for a verdict on one checkpoint"),
    "implementations": Column("the implementations that meta-trained the seeds, by spaces"),
}
"""The columns that say what a verdict is on."""

THRESHOLDS = {
    "at_least": number("the lower threshold; NaN if there is none"),
    "at_most": number("the upper threshold; NaN if there is none"),
}
INTERVAL = {
    "value": number("the statistic, or its mean over seeds"),
    "low": number("the lower end of its 95 % interval"),
    "high": number("the upper end of its 95 % interval"),
}


def _subject(verdict: Verdict) -> dict[str, Any]:
    fields = {name: getattr(verdict, name) for name in SUBJECT}
    return fields | {
        "kind": str(verdict.kind),
        "scope": str(verdict.scope),
        "implementations": " ".join(verdict.implementations),
    }


def _verdicts(contents: Contents) -> Iterator[Block]:
    for verdict in contents.verdicts:
        fields = {name: getattr(verdict, name) for name in VERDICTS.columns if name != "seeds"}
        seeds = ("?" if seed is None else str(seed) for seed in verdict.seeds)
        yield (
            fields
            | _subject(verdict)
            | {
                "outcome": str(verdict.outcome),
                "words": str(verdict.words),
                "seeds": " ".join(seeds),
            }
        )


VERDICTS = Frame(
    "the verdict on one claim, for one checkpoint or for several seeds",
    {
        **SUBJECT,
        "statistic": Column("the name of the primary statistic, with parameters"),
        "outcome": Column("reproduced, not reproduced or inconclusive"),
        "words": Column(f"the outcome; with '{DEPENDS_ON_READING}' if it does"),
        "reason": Column("why, where the number does not say it"),
        **INTERVAL,
        **THRESHOLDS,
        "robustness": number(
            "the share of the alternatives that agree; NaN if there are none, or if the primary "
            "reading decides nothing"
        ),
        "depends_on_reading": flag("whether fewer than two thirds of the alternatives agree"),
        "seeds": Column("the seeds of meta-training, by spaces; ? for one that is unknown"),
        "n_seeds": count("the number of checkpoints, or of pairs of them"),
        "n_reproduced": count("the number of checkpoints on which the claim is reproduced"),
        "n_against": count("the number of checkpoints on which it is not reproduced"),
    },
    _verdicts,
)


def _specifications(contents: Contents) -> Iterator[Block]:
    for verdict in contents.verdicts:
        for i, reading in enumerate(verdict.readings):
            yield {
                **_subject(verdict),
                "reading": reading.reading,
                "is_primary": i == 0,
                "statistic": reading.statistic,
                "threshold": reading.threshold,
                **{name: getattr(reading, name) for name in (*THRESHOLDS, *INTERVAL)},
                "outcome": str(reading.outcome),
                "agrees": reading.agrees,
                "reason": reading.reason,
            }


SPECIFICATIONS = Frame(
    "what one reading of a claim says: the primary one, then the alternatives, of each verdict",
    {
        **SUBJECT,
        "reading": Column("the reading in words"),
        "is_primary": flag("whether it is the primary reading, on which the verdict rests"),
        "statistic": Column("the name of its statistic, with parameters"),
        "threshold": Column("its threshold in words"),
        **THRESHOLDS,
        **INTERVAL,
        "outcome": Column(
            "the verdict that it would give: reproduced, not reproduced or inconclusive"
        ),
        "agrees": flag("whether it has a number, and the outcome of the verdict"),
        "reason": Column("why, where the number does not say it"),
    },
    _specifications,
)
