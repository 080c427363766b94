"""What dask is asked for before there is work: an address, or a cluster of this machine."""

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Any

from loptbench.errors import LoptbenchError


def require_dask() -> None:
    """Refuse to go on where dask is not installed.

    Raises:
        LoptbenchError: it is not.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise LoptbenchError(
            f"--engine dask needs dask ({error}): pip install 'loptbench[dask]'"
        ) from error


def require_address(address: str) -> None:
    """Refuse what cannot be the address of a scheduler, before anything waits for it.

    Raises:
        LoptbenchError: it has an unknown form.
    """
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    try:
        scheme, location = parse_address(address)
        get_backend(scheme)
        if scheme != "inproc":
            parse_host_port(location)
    except (ValueError, TypeError) as error:
        raise LoptbenchError(
            f"{address!r} is no address of a dask scheduler ({error}); give one such as "
            "tcp://10.0.0.1:8786"
        ) from error


def local_cluster(jobs: int) -> Any:
    """A cluster of so many workers on this machine."""
    from distributed import LocalCluster

    with quiet(), _deaf_children():
        return LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            resources={"GPU": 1},
        )


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C, which is for the process that asked."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without dask's log: what matters is said in a sentence."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
