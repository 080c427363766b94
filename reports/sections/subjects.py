"""A section for each subject that the paper makes claims on."""

from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Folded, Part, Section, Table
from loptbench.reports.sections import figures
from loptbench.reports.sections.report import Report, about
from loptbench.reports.sections.verdicts import frameworks, in_words
from loptbench.results.schema.verdicts import Scope
from loptbench.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

SUBJECTS = {
    "performance": ("Performance", ("optimizes", "better-than-baselines")),
    "convergence": (
        "Convergence and linear dynamics",
        ("single-convergence-point", "linear-near-convergence"),
    ),
    "momentum": ("Momentum", ("momentum", "momentum-of-theory", "momentum-of-tuning")),
    "clipping": (
        "Gradient clipping",
        ("clipping", "clipping-used-more", "clipping-spared", "clipping-engaged"),
    ),
    "schedule": (
        "Learning-rate schedule",
        ("schedule-rises", "schedule-peaks", "schedule-decays", "schedule-absent"),
    ),
    "adaptation": (
        "Learning-rate adaptation",
        ("adaptation", "adaptation-strength", "s-curve-plane", "s-curve-order"),
    ),
}
"""The title of each section, and the claims it is about, of both editions."""
OTHERS = "other-claims", "Other claims"
"""The section of claims of a file that are none of these."""
PROBES = ("momentum", "clipping", "schedule", "adaptation")
HORIZONS = {
    "": "",
    "T": ", T steps",
    "2T": ", 2 T steps",
    "10T": ", 10 T steps",
    "20T": ", 20 T steps",
    "exact": ", fixed points",
}
"""How the numbers of steps after which a quantity is measured are named."""
ENDS = {"low": "95 % from", "high": "95 % to"}


def subject_sections(report: Report, verdicts: "pd.DataFrame") -> list[Section]:
    """A section for each subject that there are verdicts or measurements on."""
    sections = []
    listed = {name for _, names in SUBJECTS.values() for name in names}
    others = tuple(claim.name for claim in report.claims if claim.name not in listed)
    for anchor, (title, names) in (SUBJECTS | {OTHERS[0]: (OTHERS[1], others)}).items():
        own = [claim for claim in report.claims if claim.name in names]
        of_subject = verdicts[verdicts.claim.isin(names)]
        parts: list[Part] = []
        if anchor in PROBES:
            words = f"Verdicts over seeds: {in_words(of_subject) or 'there are none'}."
            parts += figures.mechanism(report, anchor, words)
            parts += _numbers(report, anchor)
        parts += figures.seeds(report, anchor, own, _by_checkpoint(anchor, of_subject))
        parts += [_claim(claim, of_subject) for claim in own if _over_seeds(claim, of_subject)]
        parts += figures.readings(report, anchor, own)
        if anchor == "convergence":
            parts += _convergence_points(report)
        if parts:
            sections.append(Section(f"subject-{anchor}", title, parts))
    return sections


def _over_seeds(claim: Claim, verdicts: "pd.DataFrame") -> bool:
    return bool(((verdicts.claim == claim.name) & (verdicts.scope != Scope.CHECKPOINT)).any())


def _claim(claim: Claim, verdicts: "pd.DataFrame") -> Table:
    """The verdicts over seeds on one claim."""
    own = verdicts[(verdicts.claim == claim.name) & (verdicts.scope != Scope.CHECKPOINT)]
    own = own.assign(implementations=own.implementations.map(frameworks))
    own = own.assign(outcome=own.words, status=own.outcome)
    columns = ["task", "kind", "preset", "implementations", "outcome", "value", "low", "high"]
    return Table(
        f"claim-{claim.name}",
        f"{claim.sentence} Measured: {claim.primary.words}; claimed: {claim.threshold}.",
        own[[*columns, "robustness", "n_seeds", "n_reproduced", "n_against"]],
        3,
        claim.title,
        headings={
            "implementations": "trained in",
            "outcome": "verdict",
            "value": "mean",
            **ENDS,
            "n_seeds": "seeds",
            "n_reproduced": "for it",
            "n_against": "against it",
        },
        about=about("verdicts"),
        status=own[["status"]].rename(columns={"status": "outcome"}),
        note={"outcome": own.reason},
    )


def _by_checkpoint(anchor: str, verdicts: "pd.DataFrame") -> list[Table]:
    """The verdicts on single checkpoints."""
    single = verdicts[verdicts.scope == Scope.CHECKPOINT]
    if single.empty:
        return []
    single = single.assign(claim=single.title, status=single.outcome, outcome=single.words)
    columns = ["claim", "task", "checkpoint", "kind", "outcome", "value", "low", "high"]
    table = Table(
        f"checkpoints-{anchor}",
        "The verdict on each learned optimizer alone. Its interval is over problems. A statistic "
        "that does not depend on problems has no width.",
        single[[*columns, "robustness"]],
        3,
        headings={"outcome": "verdict", "value": "statistic", **ENDS},
        about=about("verdicts"),
        status=single[["status"]].rename(columns={"status": "outcome"}),
        note={"outcome": single.reason},
    )
    return [table]


def _names(numbers: "pd.DataFrame") -> "pd.Series":
    """What the number of each row is called."""
    arm = numbers.arm.map({"": "", "negative": ", g < 0", "positive": ", g > 0"})
    horizon = numbers.horizon.map(HORIZONS)
    return numbers.probe + ": " + numbers.quantity + horizon + arm


def _wide(report: Report) -> "pd.DataFrame":
    """The numbers of every probe, a row for each optimizer, a column for each quantity."""
    numbers = report.frame("mechanisms")
    named = numbers.assign(name=_names(numbers))
    place = ["task", "role", "optimizer", "implementation", "record"]
    wide = named.pivot_table("value", place, "name", aggfunc="first", sort=False).reset_index()
    order = {task: i for i, task in enumerate(TASKS)}
    keys = {"task": lambda tasks: tasks.map(order)}
    return wide.sort_values("task", key=keys["task"], kind="stable", ignore_index=True)


FIRST_HORIZONS = ("", "T", "10T")
"""The horizons whose numbers are shown; with all of them a table has seventy columns."""


def _numbers(report: Report, probe: str) -> list[Part]:
    """The numbers that a probe measures, by optimizer."""
    numbers = report.frame("mechanisms")
    if not (numbers.probe == probe).any():
        return []
    wide = _wide(report)
    first = numbers[(numbers.probe == probe) & numbers.horizon.isin(FIRST_HORIZONS)]
    shown = set(_names(first))
    names = {name: name.removeprefix(f"{probe}: ") for name in wide if name in shown}
    frame = wide.dropna(subset=list(names), how="all")
    if frame.empty:
        return []
    table = Table(
        f"numbers-{probe}",
        "What the probe measures, by optimizer, at its first horizon; the frame `mechanisms` has "
        "the others. Where a row is missing, the table of convergence points says why.",
        frame[["optimizer", "role", "task", "implementation", *names]].rename(columns=names),
        4,
    )
    return [Folded("The numbers of every optimizer", [table])]


POINT = {
    "convergence_point: residual": "residual",
    "convergence_point: spectral_radius": "spectral radius",
    "convergence_point: drift": "drift / typical update",
    "convergence_point: other_starts_at_this_point": "starts that come here",
    "convergence_point: other_starts": "other starts",
    "convergence_point: share_at_point, 10 T steps": "share near it after 10 T",
    "convergence_point: other_places": "other places",
    "momentum: index": "momentum index",
    "momentum: effective_rate": "effective rate",
    "momentum: asymptotic_rate": "asymptotic rate",
    "momentum: r2_last": "R², last T of 5 T steps",
    "momentum: distance_last": "distance from it there",
}


def _convergence_points(report: Report) -> list[Part]:
    """The convergence point and momentum of every optimizer, or why it has none."""
    numbers = report.frame("mechanisms")
    if numbers.empty:
        return []
    wide = _wide(report).reindex(
        columns=["optimizer", "role", "task", "implementation", "record", *POINT]
    )
    absent = numbers[
        (numbers.probe + ": " + numbers.quantity).isin(
            ["convergence_point: residual", "momentum: index"]
        )
        & (numbers.reason != "")
    ].drop_duplicates("record")
    reasons = wide.record.map(absent.set_index("record").reason).fillna("")
    table = Table(
        "points-table",
        "The convergence point of every optimizer. sgd and momentum (β = 0.9) are controls with a "
        "momentum index of 0 and 0.9. Other starts are states met on real runs; those that "
        "come here end at it to a millionth, the share near it within 1 % of the distance from h0. "
        "Rates are per step. The distance is the median, relative to the first T steps.",
        wide.drop(columns="record").rename(columns=POINT).assign(**{"why there is none": reasons}),
        4,
    )
    return [Folded("The convergence point of every optimizer", [table])]
