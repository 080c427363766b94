"""The plan of a run: no trial depends on the other implementations, and keys know their sources."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loptbench.discovery import (
    Availability,
    DiscoveredImplementation,
    get_implementation,
    load_object,
)
from loptbench.optimizers import random_gru
from loptbench.results.schema.keys import Role, TrialKind
from loptbench.results.sources import sources_hash
from loptbench.storage.weights import Checkpoint
from loptbench.study.plan import plan
from loptbench.study.trials import Trial
from loptbench.tasks import TASKS
from loptbench.tuning.tuned_file import load_tuned

pytestmark = pytest.mark.harness

KINDS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "gru")

CHECKPOINTS = {
    "of a": Checkpoint(random_gru(2, 0), "quadratic", {"implementation": "a"}),
    "of b": Checkpoint(random_gru(2, 1), "quadratic", {"implementation": "b"}),
    "of nobody": Checkpoint(random_gru(2, 2), "rosenbrock"),
    "of one that is absent": Checkpoint(random_gru(2, 3), "quadratic", {"implementation": "gone"}),
}

FEW_TASKS = ("quadratic", "rosenbrock")


def entry(name: str, **changes: Any) -> DiscoveredImplementation:
    implementation = SimpleNamespace(name=name, optimizers=KINDS, tasks=tuple(TASKS))
    declared = {"dtypes": ("float64",), "devices": ("cpu",), "versions": ()}
    vars(implementation).update(declared | changes)
    return DiscoveredImplementation(
        name, "somewhere:Object", Availability.INSTALLED, implementation=implementation
    )


def planned(*entries: DiscoveredImplementation) -> list[Trial]:
    return plan(entries, CHECKPOINTS, load_tuned(), 0, FEW_TASKS, [*CHECKPOINTS])


def names(trials: list[Trial], implementation: str) -> list[str]:
    return [t.key.name for t in trials if t.key.implementation == implementation]


@pytest.fixture(scope="module")
def alone() -> list[Trial]:
    """The trials of the implementations a and b."""
    return planned(entry("a"), entry("b"))


@pytest.mark.parametrize(
    "offered",
    [
        {},
        {"optimizers": ("sgd",)},
        {"optimizers": ("gru",)},
        {"tasks": ()},
        {"tasks": ("rosenbrock",)},
        {"dtypes": ("float32",)},
        {"dtypes": ("float32", "float64")},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["0 sorts first", "z sorts last"])
def test_another_implementation_changes_no_trial(
    alone: list[Trial], name: str, offered: dict[str, Any]
) -> None:
    other = entry(name, **offered)
    entries = sorted([entry("a"), entry("b"), other], key=lambda one: one.name)
    together = planned(*entries)
    for implementation in ("a", "b"):
        assert names(together, implementation) == names(alone, implementation)


def test_every_implementation_measures_the_baselines_that_it_offers() -> None:
    trials = planned(entry("a", optimizers=("sgd",)), entry("b", tasks=("rosenbrock",)))
    measured = {
        (t.key.implementation, t.key.task, t.key.optimizer.name)
        for t in trials
        if t.key.trial is TrialKind.MECHANISMS and t.key.optimizer.role is Role.TUNED
    }
    kinds = [kind for kind in KINDS if kind != "gru"]
    assert measured == {
        *(("a", task, "sgd") for task in FEW_TASKS),
        *(("b", "rosenbrock", kind) for kind in kinds),
    }


def test_the_reference_probes_baselines_only_beside_learned_optimizers() -> None:
    entries = [entry("a"), entry("reference")]
    on_quadratic = {"of a": CHECKPOINTS["of a"]}
    trials = plan(entries, on_quadratic, load_tuned(), 0, FEW_TASKS)
    tasks: dict[tuple[str, Role], set[str]] = {}
    for key in (trial.key for trial in trials):
        tasks.setdefault((key.implementation, key.optimizer.role), set()).add(key.task)
    assert tasks["reference", Role.TUNED] == {"quadratic"}
    assert tasks["a", Role.TUNED] == tasks["reference", Role.BASELINES] == {*FEW_TASKS}


def test_verdicts_rest_on_all_problems_of_ones_own_and_of_what_nobody_else_answers_for(
    alone: list[Trial],
) -> None:
    sizes = {
        (t.key.implementation, t.key.optimizer.name): t.key.n_problems
        for t in alone
        if t.key.trial is TrialKind.EVALUATION and t.key.optimizer.role is Role.CHECKPOINT
    }
    for name in ("a", "b"):
        other = "b" if name == "a" else "a"
        assert sizes[name, f"of {name}"] == 4096
        assert sizes[name, f"of {other}"] == 128
        assert sizes[name, "of nobody"] == sizes[name, "of one that is absent"] == 4096


@pytest.mark.parametrize(
    "cannot", [{"dtypes": ("float32",)}, {"tasks": ("rosenbrock",)}, {"optimizers": ("sgd",)}]
)
def test_one_that_cannot_measure_what_it_meta_trained_answers_for_nothing(
    cannot: dict[str, Any],
) -> None:
    (size,) = (
        t.key.n_problems
        for t in planned(entry("a", **cannot), entry("b"))
        if t.key.trial is TrialKind.EVALUATION
        and (t.key.implementation, t.key.optimizer.name) == ("b", "of a")
    )
    assert size == 4096


FILES = {
    "alone.py": "import helper, numpy\nfrom loptbench import implementations\n",
    "helper.py": "SCALE = 1\n",
    "unrelated.py": "X = 1\n",
    "package/__init__.py": "",
    "package/inner/__init__.py": "",
    "package/inner/module.py": "from ..sibling import Y\n",
    "package/sibling.py": "Y = 1\n",
    "package/kernel.cpp": "// a kernel\n",
    "package/README.md": "text",
    "package/.hidden/old.py": "",
}


@pytest.fixture
def written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    importlib.invalidate_caches()
    return folder


@pytest.mark.parametrize(
    ("module", "decisive"),
    [
        ("alone", {"alone.py", "helper.py"}),
        (
            "package.inner.module",
            {
                "package/__init__.py",
                "package/inner/__init__.py",
                "package/inner/module.py",
                "package/sibling.py",
                "package/kernel.cpp",
            },
        ),
    ],
)
def test_a_hash_of_sources_knows_every_file_that_decides(
    written: Path, module: str, decisive: set[str]
) -> None:
    before = sources_hash(SimpleNamespace(), f"{module}:Implementation")
    changed = set()
    for name, content in FILES.items():
        (written / name).write_text(f"{content}\n")
        if sources_hash(SimpleNamespace(), f"{module}:Implementation") != before:
            changed.add(name)
        (written / name).write_text(content)
    assert changed == decisive
    assert sources_hash(SimpleNamespace(), f"{module}:Implementation") == before


def test_a_repaired_module_is_measured_anew(written: Path) -> None:
    lines = [
        "from loptbench.discovery import get_implementation",
        "class Mine(type(get_implementation('reference'))):",
        "    name = 'mine'",
    ]
    (written / "mine.py").write_text("\n".join(lines))
    mine = DiscoveredImplementation(
        "mine", "mine:Mine", Availability.INSTALLED, implementation=load_object("mine:Mine")
    )
    before = {trial.key.name for trial in planned(mine)}
    assert before == {trial.key.name for trial in planned(mine)}
    (written / "mine.py").write_text("\n".join([*lines, "    # repaired"]))
    assert before.isdisjoint({trial.key.name for trial in planned(mine)})


def test_loptbenchs_own_implementations_have_no_other_sources() -> None:
    """The hash of loptbench's sources, which every key has, contains theirs."""
    reference = get_implementation("reference")
    kind = type(reference)
    assert sources_hash(reference, f"{kind.__module__}:{kind.__qualname__}") is None
