"""Whether optimizers of another architecture show the same mechanisms."""

from typing import TYPE_CHECKING

from loptbench.claims.seeds import MIN_AGREEING_SEEDS_FRACTION
from loptbench.optimizers import DEFAULT_ARCHITECTURE
from loptbench.reports.page.elements import Bullets, Data, Item, Part, Prose, Section, anchor
from loptbench.reports.sections.report import Report
from loptbench.reports.sections.verdicts import standing

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["claim", "title", "task", "kind"]
"""What the verdicts on two architectures have in common."""

HOLDS, FAILS, OPEN = "holds", "fails", "open"
SAME, OPPOSITE = "the same", "the opposite"

RULE = (
    "A claim holds of an architecture if at least four of five of its seeds reproduce it, and "
    "fails if as many speak against it; otherwise it is open. This asks less than a verdict does: "
    "there is no interval in it, and three seeds are enough."
)


def architectures_section(report: Report) -> list[Section]:
    """What the claims say of each architecture beside the paper's, of the same preset and task."""
    parts: list[Part] = []
    items = []
    for preset, architecture in _others(report.frame("checkpoints")):
        compared = side_by_side(report.verdicts, preset, architecture)
        if len(compared):
            items.append(_sentence(compared, preset, architecture))
            parts.append(_table(compared, preset, architecture))
    if not items:
        return []
    title = "Do other architectures show the same mechanisms?"
    return [Section("architectures", title, [Bullets(items), Prose(RULE), *parts])]


def _others(checkpoints: "pd.DataFrame") -> list[tuple[str, str]]:
    """Preset and name of each architecture beside the paper's."""
    others = checkpoints[checkpoints.architecture != DEFAULT_ARCHITECTURE]
    sizes = others[["preset", "architecture"]].drop_duplicates()
    return [
        (row.preset.removesuffix(f"-{row.architecture}"), row.architecture)
        for row in sizes.itertuples()
    ]


def side_by_side(verdicts: "pd.DataFrame", preset: str, architecture: str) -> "pd.DataFrame":
    """The verdicts over all seeds on an architecture, and on the paper's of the same preset.

    Args:
        verdicts: the frame `verdicts`.
        preset: the preset of both.
        architecture: the other architecture.

    Returns: the columns `PAIR`; `n_seeds`, `n_reproduced`, `n_against`, `value`, and `says` (holds,
        fails or open), each with the suffixes `_gru` and `_other`; and `compared`: the same, the
        opposite, or open.
    """
    own = standing(verdicts)
    numbers = ["n_seeds", "n_reproduced", "n_against", "value"]
    sides = [
        own[own.preset == name][[*PAIR, *numbers]] for name in (preset, f"{preset}-{architecture}")
    ]
    sides = [side.assign(says=_says(side)) for side in sides]
    both = sides[0].merge(sides[1], on=PAIR, suffixes=("_gru", "_other"))
    is_open = (both.says_gru == OPEN) | (both.says_other == OPEN)
    is_same = both.says_gru == both.says_other
    compared = is_same.map({True: SAME, False: OPPOSITE}).where(~is_open, OPEN)
    return both.assign(compared=compared)


def _says(verdicts: "pd.DataFrame") -> "pd.Series[str]":
    """Whether a claim holds of enough seeds, fails on enough, or neither."""
    import pandas as pd

    enough = MIN_AGREEING_SEEDS_FRACTION * verdicts.n_seeds
    says = pd.Series(OPEN, verdicts.index)
    return says.mask(verdicts.n_reproduced >= enough, HOLDS).mask(
        verdicts.n_against >= enough, FAILS
    )


def _sentence(compared: "pd.DataFrame", preset: str, architecture: str) -> Item:
    """On how many claims both architectures say the same, and where they do not."""
    counts = compared.compared.value_counts()
    n_same, n_opposite, n_open = (int(counts.get(name, 0)) for name in (SAME, OPPOSITE, OPEN))
    fewest, most = int(compared.n_seeds_other.min()), int(compared.n_seeds_other.max())
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    text = (
        f"{architecture.upper()}, preset {preset}, {seeds} seeds of a task: of {len(compared)} "
        f"claims and tasks {n_same} as the GRU's, {n_opposite} the opposite, {n_open} open."
    )
    return Item(text, note="; ".join(_opposites(compared)))


def _opposites(compared: "pd.DataFrame") -> list[str]:
    """Where the two say the opposite."""
    return [
        f"{row.title} on {row.task}: {row.says_gru} of the GRU ({row.n_reproduced_gru} of "
        f"{row.n_seeds_gru} seeds), {row.says_other} here ({row.n_reproduced_other} of "
        f"{row.n_seeds_other})"
        for row in compared[compared.compared == OPPOSITE].itertuples()
    ]


def _table(compared: "pd.DataFrame", preset: str, architecture: str) -> Data:
    """Every claim on both architectures."""
    columns = ["task", "title"]
    for side in ("gru", "other"):
        columns += [f"{name}_{side}" for name in ("says", "n_reproduced", "n_seeds", "value")]
    headings = {name: name.replace("_", " ").replace("other", architecture) for name in columns}
    return Data(
        anchor("architecture", f"{preset}-{architecture}"),
        f"Every claim on GRU and {architecture.upper()}, preset {preset}",
        "For each claim and task, what the seeds of both architectures say, how many reproduce it, "
        "and the mean of the statistic.",
        compared[[*columns, "compared"]].rename(columns=headings | {"title": "claim"}),
        2,
    )
