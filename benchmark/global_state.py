"""Settings and random generators of the whole process, which a pure call neither sets nor reads.

An optimizer that sets NumPy's seed changes what a user's own code draws afterwards. One that sets
torch's default dtype changes the precision of others. `unchanged` notices both and undoes them.

Only packages that are imported already are looked at.
"""

import functools
import gc
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from loptbench.errors import ContractError


class GlobalStateError(ContractError):
    """A call changed a setting of the whole process, or drew from a generator that it shares."""


class Setting(NamedTuple):
    """A piece of global state.

    Attributes:
        name: its name in messages.
        read: returns its value, which compares equal to itself.
        write: sets it to a value that `read` returned.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _read_numpy_generator() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return name, np.asarray(keys).tobytes(), *rest


def _write_numpy_generator(value: tuple[Any, ...]) -> None:
    name, keys, *rest = value
    np.random.set_state((name, np.frombuffer(keys, np.uint32), *rest))  # noqa: NPY002


def _write_warning_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]  # a list, though typeshed says Sequence


def _set_flush_to_zero(value: bool) -> None:
    torch = sys.modules.get("torch")  # nothing else here can set it
    if torch is not None and hasattr(torch, "set_flush_denormal"):
        torch.set_flush_denormal(value)


SMALL = 1e-310
"""A subnormal number: half of it is 0 if such numbers are flushed to zero."""


@functools.lru_cache(maxsize=1)
def _linear_algebra(n_modules: int) -> list[Any]:
    """The BLAS libraries that are loaded; looked for anew whenever a module has been imported."""
    from threadpoolctl import ThreadpoolController

    return [
        library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"
    ]


def _read_blas_threads() -> dict[str, int]:
    libraries = _linear_algebra(len(sys.modules))
    return {library.filepath: library.get_num_threads() for library in libraries}


def _write_blas_threads(value: dict[str, int]) -> None:
    for library in _linear_algebra(len(sys.modules)):
        if library.filepath in value:
            library.set_num_threads(value[library.filepath])


def _write_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)


def _set_garbage_collection(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


SETTINGS = (
    Setting("the seed and state of random", random.getstate, random.setstate),
    Setting("the seed and state of numpy.random", _read_numpy_generator, _write_numpy_generator),
    Setting("numpy's handling of errors (np.seterr)", np.geterr, lambda value: np.seterr(**value)),
    Setting("numpy's error handler (np.seterrcall)", np.geterrcall, np.seterrcall),
    Setting("the flushing of small numbers to zero", lambda: SMALL * 0.5 == 0, _set_flush_to_zero),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("the working directory", os.getcwd, os.chdir),
    Setting("the garbage collection", gc.isenabled, _set_garbage_collection),
)

IMPORT_SETTINGS = (
    Setting("the filters of warnings", lambda: list(warnings.filters), _write_warning_filters),
    Setting("the threads of linear algebra", _read_blas_threads, _write_blas_threads),
    Setting("the environment variables", lambda: dict(os.environ), _write_environment),
)
"""Compared only if nothing was imported meanwhile: packages set these as they are imported."""

JAX_OPTIONS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_disable_jit",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_prng_impl",
    "jax_default_device",
)


def settings() -> list[Setting]:
    """The settings of Python, NumPy, and those of torch and jax that are imported."""
    found = list(SETTINGS)
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and hasattr(torch, "get_rng_state"):  # else it is half imported
        found += _torch_settings(torch)
    if jax is not None and hasattr(jax, "config"):
        found += [_jax_setting(jax, option) for option in JAX_OPTIONS]
    return found


def _torch_settings(torch: Any) -> list[Setting]:
    def write_generator(value: bytes) -> None:
        torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))

    return [
        Setting(
            "the seed and state of torch",
            lambda: torch.get_rng_state().numpy().tobytes(),
            write_generator,
        ),
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        Setting("torch's default device", torch.get_default_device, torch.set_default_device),
        Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting(
            "torch's precision of matrix products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        Setting(
            "torch's anomaly detection",
            torch.is_anomaly_enabled,
            torch.autograd.set_detect_anomaly,
        ),
        Setting(
            "torch's choice of deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
    ]


def _jax_setting(jax: Any, option: str) -> Setting:
    return Setting(
        f"jax's option {option}",
        lambda: getattr(jax.config, option),
        lambda value: jax.config.update(option, value),
    )


@contextmanager
def unchanged(call_name: str) -> Iterator[None]:
    """Require that a block of calls leaves global state as it was.

    What has changed is set back in any case, also if the block raises.

    Args:
        call_name: name of the call in messages.

    Raises:
        GlobalStateError: the block changed a setting, or drew from a random generator that the
            whole process shares. This is raised in place of a ContractError of the block, which is
            a consequence then: a step that draws returns something else each time.

    >>> with unchanged("step"):
    ...     random.seed(0)
    Traceback (most recent call last):
    loptbench.global_state.GlobalStateError: step changes the seed and state of random, which \
belongs to the whole process
    """
    before = [(setting, setting.read()) for setting in settings()]
    at_import = [(setting, setting.read()) for setting in IMPORT_SETTINGS]
    n_modules = len(sys.modules)
    changed = []
    failure = None
    try:
        yield
    except ContractError as error:
        failure = error
    finally:
        if len(sys.modules) == n_modules:
            before += at_import
        for setting, value in before:
            if setting.read() != value:
                setting.write(value)
                changed.append(setting.name)
    if changed:
        message = f"{call_name} changes {' and '.join(changed)}, which belongs to the whole process"
        if isinstance(failure, GlobalStateError):
            message = f"{failure}; {message}"
        raise GlobalStateError(message) from failure
    if failure is not None:
        raise failure


@contextmanager
def other_seeds(seed: int) -> Iterator[None]:
    """Run a block under other seeds of random, numpy.random and torch; then set them back."""
    generators = [
        setting for setting in settings() if setting.name.startswith("the seed and state of ")
    ]
    before = [(setting, setting.read()) for setting in generators]
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "manual_seed"):
            torch.manual_seed(seed)
        yield
    finally:
        for setting, value in before:
            setting.write(value)


@contextmanager
def other_value(name: str, value: Any) -> Iterator[bool]:
    """Run a block with a setting at another value; then set it back.

    Yields whether there is such a setting, and whether it had another value.
    """
    for setting in settings():
        if setting.name == name and (before := setting.read()) != value:
            try:
                setting.write(value)
                yield True
            finally:
                setting.write(before)
            return
    yield False


def other_torch_dtype() -> AbstractContextManager[bool]:
    """Run a block under the other default dtype of torch, float32 or float64; then set it back."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_dtype"):
        return nullcontext(False)
    is_float32 = torch.get_default_dtype() == torch.float32
    return other_value("torch's default dtype", torch.float64 if is_float32 else torch.float32)
