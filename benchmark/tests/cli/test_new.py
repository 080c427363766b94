"""`loptbench new`: skeletons run as they are, and say what is still to be written."""

import subprocess
import sys
from pathlib import Path

import pytest

from loptbench.cli.new import KINDS
from loptbench.tests.fixture_types import Command

pytestmark = pytest.mark.harness


def test_skeletons_pass_and_say_what_is_left(command: Command, folder: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    for kind in KINDS:
        code, out, err = command("new", kind, f"my_{kind}")
        assert code == 0, out + err
        assert out.splitlines()[:2] == [f"my_{kind}.py", f"test_my_{kind}.py"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n", "0"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for left in (
        "still to be written: problems, and `tasks`, unroll, meta_gradient, outer_step",
        "still to be written: your own `draw` and losses in my_task.py",
        "still to be written: your own `initial_state` and `step` in my_adapter.py",
        "still to be written: a cell for jax, torch",
    ):
        assert left in " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("task", "My-Task"), "'My-Task' is no name of a module"),
        (("task", "../task"), "is no name of a module"),
        (("task", "class"), "is no name of a module"),
        (("task", "json"), "there is a module 'json' already"),
        (("task", "mine"), "mine.py exists and is not overwritten"),
        (("task", "other", "--folder", "nowhere"), "cannot write nowhere/other.py"),
        (("optimizer", "mine"), "'optimizer' is not one of"),
    ],
)
def test_wrong_names(
    command: Command, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    (folder / "mine.py").write_text("")
    code, _, err = command("new", *arguments)
    assert code == 2
    assert message in err
    assert [path.name for path in folder.iterdir()] == ["mine.py"]
