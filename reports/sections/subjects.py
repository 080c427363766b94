"""A section for each subject that the paper makes claims on."""

from typing import TYPE_CHECKING

from loptbench.claims.catalogue import Claim
from loptbench.reports.page.elements import Bullets, Folded, Item, Part, Prose, Section
from loptbench.reports.sections import figures
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import RULE, in_words, of_size
from loptbench.results.schema.verdicts import Outcome, Scope

if TYPE_CHECKING:
    import pandas as pd

SUBJECTS = {
    "performance": (
        "Performance",
        "On problems that nothing was trained or tuned on, learned optimizers should beat tuned "
        "baselines in the mean loss of a run.",
        ("optimizes", "better-than-baselines"),
    ),
    "convergence": (
        "Convergence",
        "Without a gradient the state should come to rest at one point, near which it obeys a "
        "linear equation.",
        ("single-convergence-point", "linear-near-convergence"),
    ),
    "momentum": (
        "Momentum",
        "A gradient should move the parameters for many steps after it, as heavy-ball momentum "
        "does.",
        ("momentum", "momentum-of-theory", "momentum-of-tuning"),
    ),
    "clipping": (
        "Clipping",
        "The update should grow with the gradient only up to a bound.",
        ("clipping", "clipping-used-more", "clipping-spared", "clipping-engaged"),
    ),
    "schedule": (
        "Schedule",
        "The learning rate should change with time alone, without a gradient.",
        ("schedule-rises", "schedule-peaks", "schedule-decays", "schedule-absent"),
    ),
    "adaptation": (
        "Adaptation",
        "The learning rate should fall where gradients are large, as that of RMSProp does.",
        ("adaptation", "adaptation-strength", "s-curve-plane", "s-curve-order"),
    ),
}
"""The title of each section, its sentence, and the claims it is about, of both editions."""
OTHERS = "other-claims", "Other claims", "Claims that are about none of these."
"""The section of claims of a file that are none of these."""


def subject_sections(report: Report, verdicts: "pd.DataFrame") -> list[Section]:
    """A section for each subject that there are verdicts or measurements on."""
    sections = []
    listed = {name for *_, names in SUBJECTS.values() for name in names}
    others = tuple(claim.name for claim in report.claims if claim.name not in listed)
    for anchor, (title, words, names) in (SUBJECTS | {OTHERS[0]: (*OTHERS[1:], others)}).items():
        own = [claim for claim in report.claims if claim.name in names]
        of_subject = verdicts[verdicts.claim.isin(names)]
        parts: list[Part] = []
        if anchor in figures.PROBES:
            verdict_words = f"Verdicts over seeds: {in_words(of_subject) or 'there are none'}."
            parts += figures.mechanism(report, anchor, verdict_words)
        parts += figures.seeds(report, anchor, own)
        parts += figures.readings(report, anchor, own)
        if anchor == "performance":
            parts += figures.meta_training(report)
        judged = [claim for claim in own if _over_seeds(claim, of_subject)]
        if judged:
            items = [_claim(claim, of_subject) for claim in judged]
            parts.append(Folded("The claims in words", [Bullets(items), Prose(RULE)]))
        if parts:
            sentence = Prose({size: f"{words} {_count(of_subject, size)}" for size in report.sizes})
            sections.append(Section(f"subject-{anchor}", title, [sentence, *parts]))
    return sections


def _over_seeds(claim: Claim, verdicts: "pd.DataFrame") -> bool:
    return bool(((verdicts.claim == claim.name) & (verdicts.scope != Scope.CHECKPOINT)).any())


def _count(verdicts: "pd.DataFrame", size: str) -> str:
    """How many verdicts of a size have each outcome."""
    own = of_size(verdicts, size)
    if own.empty:
        return "No verdict here is on this size."
    counts = own.outcome.value_counts()
    words = ", ".join(f"{counts[name]} {name}" for name in Outcome if name in counts)
    return f"Of {len(own)} verdicts: {words}."


def _claim(claim: Claim, verdicts: "pd.DataFrame") -> Item:
    """A claim: its sentence, what is measured, and its verdicts."""
    own = verdicts[verdicts.claim == claim.name]
    note = in_words(own)
    undecided = own[own.outcome == Outcome.INCONCLUSIVE]
    reasons = list(dict.fromkeys(reason for reason in undecided.reason if reason))
    if reasons:
        note += f". Undecided: {'; '.join(reasons)}"
    return Item(
        f"{claim.title}. {claim.sentence} Measured: {claim.primary.words}; claimed: "
        f"{claim.threshold}.",
        note=note,
        anchor=f"claim-{claim.name}",
    )
