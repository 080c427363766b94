"""The figures of the sections, drawn from the frames of the store."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Part
from loptbench.reports.plots.adaptation import ADAPTATION
from loptbench.reports.plots.agreement import agreement_map
from loptbench.reports.plots.clipping import CLIPPING
from loptbench.reports.plots.convergence import CONVERGENCE
from loptbench.reports.plots.momentum import MOMENTUM
from loptbench.reports.plots.schedule import SCHEDULE
from loptbench.reports.plots.seeds import seed_plot
from loptbench.reports.plots.specifications import specification_curve
from loptbench.reports.plots.training import meta_training as training_curves
from loptbench.reports.sections.readings import standing_readings
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import in_words

if TYPE_CHECKING:
    import pandas as pd

AND = " and "
"""Between the names of the checkpoints, and of the tasks, of a claim across tasks."""

PROBES = {figure.name: figure for figure in (CONVERGENCE, MOMENTUM, CLIPPING, SCHEDULE, ADAPTATION)}


def meta_training(report: Report) -> list[Part]:
    """The validation objective of each learned optimizer over its meta-training."""
    return _present([training_curves(report.frame("meta_training"), report.names, report.command)])


def mechanism(report: Report, probe: str, words: str) -> list[Part]:
    """What a probe measures, task by task."""
    figure = PROBES[probe]
    frames = {name: report.frame(name) for name in figure.frames}
    return _present([figure.draw(frames, words, report.command)])


def seeds(report: Report, subject: str, claims: Sequence[Claim]) -> list[Part]:
    """The statistic of every seed beside what is claimed."""
    verdicts = report.verdicts
    own = verdicts[verdicts.claim.isin([claim.name for claim in claims])]
    checkpoints = report.frame("checkpoints").drop_duplicates("optimizer").set_index("optimizer")
    own = own.assign(
        trained_by=[_shared(name, checkpoints.trained_by, "unknown") for name in own.checkpoint],
        seed_preset=[_shared(name, checkpoints.preset, "") for name in own.checkpoint],
    )
    return _present([seed_plot(subject, claims, own, in_words(own), report.command)])


def _shared(checkpoint: str, known: "pd.Series[str]", unknown: str) -> str:
    """What is known of a checkpoint; of a pair, what both have in common, or both."""
    values = dict.fromkeys(known.get(name, unknown) for name in checkpoint.split(AND))
    return AND.join(values)


def readings(report: Report, subject: str, claims: Sequence[Claim]) -> list[Part]:
    """What every reading of these claims says, beside the primary one."""
    own = standing_readings(report)
    own = own[own.claim.isin([claim.name for claim in claims])]
    return _present([specification_curve(subject, own, report.command)])


def agreement(report: Report) -> list[Part]:
    """The largest error of each implementation over its tolerance."""
    return _present([agreement_map(report.checks, report.command)])


def _present(figures: Iterable[Part | None]) -> list[Part]:
    return [figure for figure in figures if figure is not None]
