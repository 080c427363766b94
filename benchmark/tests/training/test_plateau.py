"""Where meta-training ends, the average of the weights, and when progress is saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.implementations.reference.implementation import Implementation as Reference
from loptbench.tests.conformance.planted_base import SideBySide
from loptbench.tests.training.test_meta_training import CONFIG
from loptbench.training.chain import meta_train, meta_train_side_by_side
from loptbench.training.seed_run import save as save_runs

pytestmark = pytest.mark.harness


def test_a_plateau_ends_meta_training(tmp_path: Path) -> None:
    """It ends at the first validation at which the last fifth of the steps improved too little."""
    settings = {
        "n_outer_steps": 150,
        "plateau": 0.02,
        "min_outer_steps": 30,
        "learning_rate": 3e-2,
    }
    config = CONFIG.model_copy(update=settings)
    metadata = meta_train(Reference(), config, tmp_path / "out.safetensors").meta_training
    steps = metadata["outer_steps"]
    assert 30 <= steps < 150

    def improves(k: int) -> bool:
        rows = [row for row in metadata["log"] if row["step"] <= k]
        before = min(row["validation"] for row in rows if row["step"] <= 0.8 * k)
        return bool(min(row["validation"] for row in rows) <= (1 - 0.02) * before)

    validated = [row["step"] for row in metadata["log"] if row["step"] >= 30]
    assert [improves(k) for k in validated] == [True] * (len(validated) - 1) + [False]
    assert validated[-1] == steps


def test_a_seed_at_its_plateau_waits_for_the_others(tmp_path: Path) -> None:
    settings = {
        "n_outer_steps": 150,
        "plateau": 0.02,
        "min_outer_steps": 30,
        "learning_rate": 3e-2,
    }
    config = CONFIG.model_copy(update=settings)
    outputs = {seed: tmp_path / f"{seed}.safetensors" for seed in (0, 4)}
    together = meta_train_side_by_side(SideBySide(), config, outputs)
    alone = [
        meta_train(
            Reference(),
            config.model_copy(update={"seed": seed}),
            tmp_path / f"alone-{seed}.safetensors",
        )
        for seed in outputs
    ]
    assert len({checkpoint.meta_training["log"][-1]["step"] for checkpoint in alone}) == 2
    for one, other in zip(together, alone, strict=True):
        assert one.meta_training["log"] == other.meta_training["log"]
        assert one.meta_training["outer_steps"] == other.meta_training["outer_steps"]
        for name, value in other.optimizer.parameters.items():
            np.testing.assert_array_equal(one.optimizer.parameters[name], value)


class BreaksLate(SideBySide):
    """Reports an objective of NaN for the first seed from outer step `first` on."""

    def __init__(self, first: int) -> None:
        self.first, self.calls = first, 0

    def outer_steps(self, *arguments: Any) -> Any:
        self.calls += 1
        steps = super().outer_steps(*arguments)
        if self.calls >= self.first:
            steps[0] = steps[0][0], float("nan")
        return steps


def test_what_happens_after_a_plateau_does_not_count(tmp_path: Path) -> None:
    """Nor does it end the other seeds."""
    settings = {"n_outer_steps": 80, "plateau": 0.02, "min_outer_steps": 20, "learning_rate": 3e-2}
    config = CONFIG.model_copy(update=settings)
    outputs = {seed: tmp_path / f"{seed}.safetensors" for seed in (0, 3)}
    first, second = meta_train_side_by_side(SideBySide(), config, outputs)
    assert second.meta_training["outer_steps"] > first.meta_training["outer_steps"]
    late = {seed: tmp_path / f"late-{seed}.safetensors" for seed in outputs}
    breaks = BreaksLate(first.meta_training["outer_steps"] + 1)
    again = meta_train_side_by_side(breaks, config, late)
    assert [each.meta_training for each in again] == [first.meta_training, second.meta_training]


class Noisy(Reference):
    """Moves the readout's bias to 0.2 above and below its place, in turn."""

    def __init__(self) -> None:
        self.calls = 0

    def outer_step(self, *arguments: Any) -> Any:
        self.calls += 1
        outer, objective = super().outer_step(*arguments)
        by = 0.2 if self.calls == 1 else 0.4 * (-1) ** (self.calls + 1)
        moved = outer.parameters["b"] + by
        return outer._replace(parameters={**outer.parameters, "b": moved}), objective


def test_the_average_of_the_weights_is_kept_where_it_is_better(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"averaging": 0.9, "n_outer_steps": 17, "validate_every": 5})
    checkpoint = meta_train(Noisy(), config, tmp_path / "out.safetensors")
    metadata = checkpoint.meta_training
    values = [(row["validation"], row["averaged"]) for row in metadata["log"]]
    assert metadata["best_validation"] == min(map(min, values))
    assert metadata["best_validation"] < min(value for value, _ in values)  # an average won
    config = config.model_copy(update={"averaging": None})
    plain = meta_train(Noisy(), config, tmp_path / "plain.safetensors").meta_training
    assert plain["best_validation"] > metadata["best_validation"]
    assert [row["validation"] for row in plain["log"]] == [value for value, _ in values]


def test_progress_is_saved_every_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many outer steps lie between two saves, a minute is lost at most."""
    monkeypatch.setattr("loptbench.training.loop.SECONDS_BETWEEN_SAVES", -1.0)
    config = CONFIG.model_copy(update={"checkpoint_every": 1000})
    saved: list[int] = []

    def save(runs: Any, path: Path, identity: str) -> None:
        saved.append(runs[0].step)
        save_runs(runs, path, identity)

    monkeypatch.setattr("loptbench.training.loop.save", save)
    meta_train(Reference(), config, tmp_path / "out.safetensors")
    assert saved == [*range(CONFIG.n_outer_steps + 1), CONFIG.n_outer_steps]
