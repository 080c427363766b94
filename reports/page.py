"""The page: records in, one self-contained HTML file out."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2

from loptbench.claims import claims
from loptbench.optimizers import BASELINES
from loptbench.protocol import Level
from loptbench.records import Record, Store
from loptbench.reports.comparison import comparison, comparisons
from loptbench.reports.figures import Look, Picture, errors_by_step
from loptbench.reports.mechanisms import mechanism_pictures, over_all_seeds
from loptbench.reports.results import FAILED, NOT_INSTALLED, Cell, Results, spelled
from loptbench.reports.training import meta_training
from loptbench.tasks import TASKS
from loptbench.tolerances import TABLE

SYMBOLS = {
    "passed": "✓",
    "failed": "✗",
    "diverged": "∞",
    "not offered": "–",
    "not run": "…",
    "not installed": "○",
    "broken": "!",
}


def render(store: Store) -> str:
    """The report of a store, as a string of HTML; the same records give the same bytes."""
    results = Results.of(store)
    verdicts = store.verdicts()
    pictures = _pictures(results, verdicts)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = spelled
    folder = resources.files("loptbench.reports")
    template = environment.from_string((folder / "page.html").read_text())
    return template.render(
        style=(folder / "style.css").read_text(),
        summary=_summary(results, verdicts),
        results=results,
        levels=list(Level),
        dtypes=results.dtypes(),
        cells=_cells(results),
        symbols=SYMBOLS,
        pictures=pictures,
        best=_best(results),
        tuning=_tuning(results),
        points=_points(results),
        claims=_claims(verdicts),
        outcomes=OUTCOMES,
        tolerances=_tolerances(results),
        provenance=_provenance(results),
        versions=_versions(results),
    )


def _learned(results: Results) -> list[str]:
    labels = {r.key["optimizer"] for r in results.records}
    return sorted(label for label in labels if label.startswith("checkpoint "))


def _pictures(results: Results, verdicts: list[Mapping[str, Any]]) -> list[Picture]:
    looks = Look(tuple(results.names()))
    found: list[Picture | None] = []
    evaluated = results.of_kind("evaluation")
    for task in TASKS:
        found.append(comparison(evaluated, task))
        found.append(meta_training(evaluated, task, looks))
    found += mechanism_pictures(results.of_kind("mechanisms"), verdicts)
    for label in _learned(results)[:1]:
        for dtype in results.dtypes():
            found.append(errors_by_step(results.of_kind("conformance"), label, dtype, looks))
    return [picture for picture in found if picture is not None]


def _cells(results: Results) -> dict[tuple[str, int, str], Cell]:
    return {
        (one["name"], int(level), dtype): results.cell(one, level, dtype)
        for one in results.implementations
        for level in Level
        for dtype in results.dtypes()
    }


OUTCOMES = {"reproduced": "✓", "not reproduced": "✗", "inconclusive": "?"}


def _claims(verdicts: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each claim with its verdicts: over seeds first, then of each framework and checkpoint."""
    overall = over_all_seeds(verdicts)
    return [
        {
            "claim": claim,
            "overall": [v for v in overall if v["claim"] == claim.name],
            "others": [v for v in verdicts if v["claim"] == claim.name and v not in overall],
        }
        for claim in claims()
        if any(v["claim"] == claim.name for v in verdicts)
    ]


def _summary(results: Results, verdicts: list[Mapping[str, Any]]) -> str:
    """One sentence: what was run, and what came out."""
    if not results.records:
        return "This store holds no results yet: run 'loptbench run'."
    cells = _cells(results)
    wrong = sorted({name for (name, _, _), cell in cells.items() if cell.status == FAILED})
    absent = [o["name"] for o in results.implementations if o["availability"] == NOT_INSTALLED]
    ran = [name for name in results.names() if name not in absent]
    parts = [f"{len(results.records)} trials of {', '.join(ran)}"]
    parts.append(
        f"disagreement with the reference in {', '.join(wrong)}"
        if wrong
        else "every check that was run agrees with the reference"
    )
    if results.missing:
        parts.append(f"{results.missing} planned trials are missing: this report is partial")
    overall = over_all_seeds(verdicts)
    if overall:
        counts = {word: sum(v["outcome"] == word for v in overall) for word in OUTCOMES}
        said = ", ".join(f"{n} {word}" for word, n in counts.items())
        parts.append(f"of {len(overall)} claims of the paper on its tasks, {said}")
    for task in TASKS:
        rows = [row for row in _best(results) if row["task"] == task and row["ratio"] is not None]
        if rows:
            low, high = min(r["ratio"] for r in rows), max(r["ratio"] for r in rows)
            span = f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"
            better = {r["optimizer"] for r in rows if r["high"] is not None and r["high"] < 1}
            parts.append(
                f"on {task} {len(better)} of {len({r['optimizer'] for r in rows})} learned "
                f"optimizers beat the best tuned baseline, {rows[0]['baseline']}, at {span} times "
                "its meta-objective"
            )
    return "; ".join(parts) + "."


def _best(results: Results) -> list[dict[str, Any]]:
    """Each learned optimizer beside the best tuned baseline of its task and implementation."""
    rows = comparisons(results.of_kind("evaluation"))
    found = []
    for row in rows:
        tuned = [
            other
            for other in rows
            if (other["task"], other["implementation"]) == (row["task"], row["implementation"])
            and other["optimizer"] in BASELINES
            and other["found"]["objective_mean"] is not None
        ]
        if row["look"] != "learned" or not tuned:
            continue
        best = min(tuned, key=lambda other: float(other["found"]["objective_mean"]))
        found.append(
            {
                "task": row["task"],
                "implementation": row["implementation"],
                "optimizer": row["optimizer"],
                "problems": row["found"]["n_problems"],
                "learned": row["found"]["objective_mean"],
                "baseline": best["optimizer"],
                "tuned": best["found"]["objective_mean"],
                **row["ratios"][best["optimizer"]],
            }
        )
    return found


def _tuning(results: Results) -> list[dict[str, Any]]:
    """How each baseline was tuned, once for each task: implementations share the search."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in comparisons(results.of_kind("evaluation")):
        told = row["found"].get("tuning")
        if told is not None:
            places = (f"{name} at {place:.0%}" for name, place in told["places"].items())
            rows.setdefault(
                (row["task"], row["optimizer"]),
                {
                    "task": row["task"],
                    "baseline": row["optimizer"],
                    "hyperparameters": row["found"]["hyperparameters"],
                    "score": told["score"],
                    "places": ", ".join(places),
                    "edge": ", ".join(told["on_edge"]) or "none",
                    "draws": told["n_draws"],
                    "complete": told["n_complete"],
                    "diverged": told["n_diverged"],
                },
            )
    return list(rows.values())


def _points(results: Results) -> list[dict[str, Any]]:
    rows = []
    for record in results.of_kind("mechanisms"):
        point, found = record.result["convergence_point"], record.result["momentum"]
        rows.append(
            {
                "optimizer": record.key["optimizer"],
                "task": record.key["task"],
                "implementation": record.key["implementation"],
                "residual": point.get("residual"),
                "spectral_radius": point.get("spectral_radius"),
                "drift": point.get("drift"),
                "starts": _starts(point),
                "index": found.get("index"),
                "effective_rate": found.get("effective_rate"),
                "asymptotic_rate": found.get("asymptotic_rate"),
                "note": point.get("not_applicable") or found.get("not_applicable") or "",
            }
        )
    return rows


def _starts(point: Mapping[str, Any]) -> str:
    if "other_starts" not in point:
        return "–"
    return f"{point['other_starts_at_this_point']} of {point['other_starts']}"


def _tolerances(results: Results) -> list[dict[str, Any]]:
    observed = results.observed()
    rows = []
    for device, table in TABLE.items():
        for quantity, entry in table.items():
            row: dict[str, Any] = {
                "device": device,
                "quantity": quantity,
                "multiple": entry.multiple,
                "scale": entry.scale,
                "derivation": entry.derivation,
            }
            for dtype in results.dtypes():
                ratios = [
                    ratio
                    for (name, in_dtype), ratio in observed.items()
                    if in_dtype == dtype and _covers(quantity, name)
                ]
                row[dtype] = max(ratios) if ratios else None
            rows.append(row)
    return rows


def _covers(quantity: str, name: str) -> bool:
    return name == quantity or name.startswith((f"{quantity} of ", f"{quantity}:"))


def _provenance(results: Results) -> list[tuple[str, str]]:
    """Each fact about where the records were made; several values if they do not agree."""
    facts: dict[str, set[str]] = {}
    for record in results.records:
        for name, value in record.provenance.items():
            facts.setdefault(name, set()).add("unknown" if value is None else str(value))
    return [(name, " / ".join(sorted(values))) for name, values in facts.items()]


def _versions(results: Results) -> list[tuple[str, str]]:
    found: dict[str, Record] = {r.key["implementation"]: r for r in results.records}
    return [
        (name, ", ".join(f"{k} {v}" for k, v in record.key["versions"].items()))
        for name, record in sorted(found.items())
    ]
