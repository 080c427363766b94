"""Settings of meta-training: presets, files of users, refusals."""

from importlib import resources
from pathlib import Path

import pytest

from loptbench.errors import LoptbenchError
from loptbench.tasks import TASKS
from loptbench.training.meta_tuning import MetaTuned
from loptbench.training.settings import PRESETS, MetaTraining, load_config, load_preset

pytestmark = pytest.mark.harness


SEARCHED = ("quadratic", "rosenbrock", "two_moons")
"""Tasks that have the preset `standard`."""


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", list(TASKS))
def test_presets(preset: str, task: str) -> None:
    if preset == "standard" and task not in SEARCHED:
        with pytest.raises(LoptbenchError, match=f"there is no preset 'standard' for {task}"):
            load_preset(preset, task, {})
        return
    config = load_preset(preset, task, {"seed": 3})
    assert (config.preset, config.task, config.seed) == (preset, task, 3)
    assert config.n_steps == TASKS[task].n_steps
    if preset == "paper":
        assert config.n_units == 256


@pytest.mark.parametrize("task", SEARCHED)
def test_standard_is_what_the_shipped_search_found(task: str) -> None:
    folder = Path(str(resources.files("loptbench.training") / "searches"))
    found = MetaTuned.model_validate_json((folder / f"{task}.json").read_text())
    chosen = load_preset("standard", task, {})
    settings = chosen.model_dump()
    assert {name: settings[name] for name in found.settings} == found.settings
    shared = {"n_units", "batch_size", "n_steps", "epsilon", "validation_size", "architecture"}
    assert {name: settings[name] for name in shared} == found.base.model_dump(include=shared)
    assert chosen.decay_steps == chosen.n_outer_steps
    assert chosen.plateau == 0.005


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(LoptbenchError, match="known are: paper, quick, standard"):
        load_preset("slow", "quadratic", {})


def test_settings(tmp_path: Path) -> None:
    assert load_preset("quick", "quadratic", {}) == MetaTraining(preset="quick")
    file = tmp_path / "mine.toml"
    file.write_text("n_units = 8\nlearning_rate = 1e-3\n")
    config = load_config(file, "quadratic", {"seed": 3})
    assert (config.n_units, config.learning_rate, config.seed) == (8, 1e-3, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_unit = 8", "unknown meta-training setting 'n_unit'; known are: .*n_units"),
        ("n_units = 0", "setting 'n_units': Input should be greater than or equal to 1"),
        ("decay = 1.5", "setting 'decay': Input should be less than or equal to 1"),
        ("learning_rate = nan", "setting 'learning_rate': Input should be"),
        ("n_units = ", "is not a TOML file of settings"),
    ],
)
def test_bad_settings(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(LoptbenchError, match=message):
        load_config(file, "quadratic", {})


def test_settings_for_another_task_or_under_a_shipped_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('task = "quadratic"')
    assert load_config(file, "quadratic", {}).task == "quadratic"
    with pytest.raises(LoptbenchError, match="has settings for quadratic, not for digits"):
        load_config(file, "digits", {})
    file.write_text('preset = "paper"')
    with pytest.raises(LoptbenchError, match="calls its settings 'paper'"):
        load_config(file, "quadratic", {})


def test_settings_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(LoptbenchError, match="no meta-training settings at"):
        load_config(tmp_path / "none.toml", "quadratic", {})
