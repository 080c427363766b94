"""The commands `meta-train` and `meta-tune`: their settings, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest

from loptbench.errors import LoptbenchError
from loptbench.tests.fixture_types import Command
from loptbench.training import settings
from loptbench.training.run import meta_train, meta_tune
from loptbench.training.settings import MetaTraining


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("search.toml", "name --output search.json"),
        (".", "cannot write .: it is there and not a file"),
        ("mine.json", "mine.toml exists and is not overwritten"),
        ("taken.json", "cannot make the folder taken.json.trainings: it is a file"),
    ],
)
def test_meta_tune_refuses_files_before_it_searches(
    command: Command, folder: Path, output: str, message: str
) -> None:
    (folder / "mine.toml").write_text("mine = 1")
    (folder / "taken.json.trainings").touch()
    before = sorted(path.name for path in folder.iterdir())
    sizes = ("--draws", "1", "--rounds", "1", "--seeds", "1", "--dtype", "float64")
    arguments = ("meta-tune", "rosenbrock", "--implementation", "reference", *sizes)
    code, _, err = command(*arguments, "--output", output)
    assert code == 2
    assert message in err
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "mine.toml").read_text() == "mine = 1"


def test_a_preset_with_other_settings_is_no_longer_that_preset(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its seeds would stand among those of the preset, as one more of the same kind."""
    tiny = {"batch_size": 1, "n_steps": 3, "validation_size": 1, "dtype": "float64"}
    read = settings.load_preset

    def small(preset: str, task: str, given: dict[str, Any]) -> MetaTraining:
        return read(preset, task, {"n_outer_steps": 1, "n_units": 2, **tiny, **given})

    monkeypatch.setattr("loptbench.training.run.load_preset", small)
    arguments = ("meta-train", "rosenbrock", "--implementation", "reference", "--seed", "3")
    for more, name in (
        ((), "quick"),
        (("--units", "2", "--architecture", "lstm", "--dtype", "float64"), "quick-lstm"),
        (("--units", "3"), "own"),
        (("--outer-steps", "2", "--architecture", "lstm"), "own-lstm"),
    ):
        code, out, err = command(*arguments, *more)
        assert code == 0, err
        assert out.splitlines()[-1] == f"rosenbrock-{name}-reference-3.safetensors"


def test_meta_train_takes_all_settings_of_a_file(command: Command, folder: Path) -> None:
    sizes = "n_units = 2\nn_outer_steps = 1\nbatch_size = 1\nn_steps = 3\nvalidation_size = 1\n"
    (folder / "own.toml").write_text(sizes + 'dtype = "float64"\nseed = 5\n')
    arguments = ("meta-train", "rosenbrock", "--implementation", "reference", "--config")
    code, out, err = command(*arguments, "own.toml")
    assert code == 0, err
    assert out.splitlines()[-1] == "rosenbrock-own-reference-5.safetensors"
    code, out, err = command(*arguments, "own.toml", "--seed", "6")
    assert code == 0, err
    assert out.splitlines()[-1] == "rosenbrock-own-reference-6.safetensors"
    (folder / "gpu.toml").write_text(sizes + 'dtype = "float64"\ndevice = "cuda"\n')
    code, _, err = command(*arguments, "gpu.toml")
    assert code == 2
    assert "reference has no device 'cuda' here" in err
    code, _, err = command(*arguments, "own.toml", "--preset", "quick")
    assert code == 2
    assert "--config is instead of --preset" in err
    code, _, err = command(*arguments, "own.toml", "--seed", str(2**64))
    assert code == 2
    assert "meta-training setting 'seed': Input should be less than 18446744073709551616" in err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": 3}, r"give the seeds as seeds=\[3\]"),
        ({"seeds": []}, "no seed is given"),
    ],
)
def test_seeds_in_python_are_a_list(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(LoptbenchError, match=message):
        meta_train("rosenbrock", "reference", **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_draws": 0}, "the search of settings: n_draws"),
        ({"n_draw": 3}, "the search of settings: n_draw"),
        ({"architectures": ()}, "no architecture is given"),
    ],
)
def test_meta_tune_in_python_refuses_what_it_does_not_know(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoptbenchError, match=message):
        meta_tune("rosenbrock", "reference", **wrong)
