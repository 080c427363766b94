"""JAX's compiled programs outlive a command, in a folder of the user's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loptbench.cli import compilation_cache

NAMES = (
    "JAX_DISABLE_MOST_OPTIMIZATIONS",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of its own, and an environment that is put back as it was."""
    for name in NAMES:
        monkeypatch.setenv(name, "to be put back")
        monkeypatch.delenv(name)
    folder = tmp_path / "cache" / "jax"
    monkeypatch.setattr(compilation_cache, "compilation_cache", lambda: folder)
    return folder


def test_the_folder_is_made_and_bounded(folder: Path) -> None:
    compilation_cache.use_compilation_cache()
    assert folder.is_dir()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    assert int(os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"]) == compilation_cache.MAX_BYTES


def test_the_users_own_folder_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    compilation_cache.use_compilation_cache()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"
    assert not folder.exists()


def test_without_a_folder_there_is_no_cache(folder: Path) -> None:
    folder.parent.write_text("a file where a folder is wanted")
    compilation_cache.use_compilation_cache()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_check_compiles_quickly_unless_the_user_chose(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation_cache.compile_quickly()
    assert os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "true"
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "false")
    compilation_cache.compile_quickly()
    assert os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "false"


def test_jax_keeps_its_programs_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.delenv("JAX_ENABLE_COMPILATION_CACHE", raising=False)
    compilation_cache.use_compilation_cache()
    program = "import jax; jax.jit(lambda x: 2 * x + 1)(1.0)"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert any(folder.iterdir())
