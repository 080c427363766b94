"""Compiled programs of JAX are kept in the user's cache folder from one command to the next.

Most of the time of a first `loptbench check jax` goes into compilation. Variables that the user has
set are left as they are. `JAX_ENABLE_COMPILATION_CACHE=false` turns the cache off.
"""

import os
from pathlib import Path

MAX_BYTES = 2**30
"""Size at which JAX deletes the programs that were not used for the longest time."""


def compilation_cache() -> Path:
    """The folder of compiled programs, such as `~/.cache/loptbench/jax` on Linux."""
    from platformdirs import user_cache_path

    return user_cache_path("loptbench", appauthor=False) / "jax"


def use_compilation_cache() -> None:
    """Tell JAX of the cache, here and in the processes that are started from here.

    JAX reads these variables when it is imported. Without a folder that can be written there is no
    cache.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = compilation_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    defaults = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(MAX_BYTES),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def compile_quickly() -> None:
    """Tell JAX to optimize little, for commands whose programs run a few times only.

    The compiler then takes a third less time. `loptbench run` optimizes as usual, and its
    conformance trials make the same checks of those programs.
    """
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")


def without_compilation_cache() -> None:
    """Compile everything anew, for commands that time compilation."""
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
