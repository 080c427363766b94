"""What a record says of the code: the commit of a checkout, and none of an installed package."""

import subprocess
from importlib import resources
from pathlib import Path

import pytest

from loptbench.results import provenance

pytestmark = pytest.mark.harness


def git(*arguments: str) -> str:
    folder = Path(str(resources.files("loptbench")))
    process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    return process.stdout.strip() if process.returncode == 0 else ""


def test_a_checkout_has_a_commit() -> None:
    if not git("ls-files", "__init__.py"):
        pytest.skip("loptbench is installed, not a checkout")
    assert provenance._git()["commit"] == git("rev-parse", "HEAD")


def test_a_package_inside_another_repository_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    package = tmp_path / "loptbench"
    (package / "results").mkdir(parents=True)
    file = package / "results" / "provenance.py"
    file.touch()
    monkeypatch.setattr(provenance, "_folder", lambda _: package)
    monkeypatch.setattr(provenance, "__file__", str(file))
    assert provenance._git() == {"commit": None, "dirty": None}
