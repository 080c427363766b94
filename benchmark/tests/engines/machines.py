"""Schedulers and workers of dask in processes of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Machines:
    """A scheduler and its workers, each a process with an address of its own."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self.host, self.address = host, f"tcp://{host}:{self.port}"
        self.folder, self.processes = folder, list[subprocess.Popen[bytes]]()

    def start(self, *arguments: str, site: str = "", where: Sequence[str] = ()) -> None:
        """Start a scheduler or a worker, whose Python runs a piece of code first.

        Args:
            arguments: of `python -m dask`.
            site: the code.
            where: a command that runs another one elsewhere, such as in another network.
        """
        folder = self.folder / f"site-{len(self.processes)}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(site)
        command = [*where, sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        output = (self.folder / f"{len(self.processes)}.log").open("wb")
        self.processes.append(
            subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        )

    def scheduler(self) -> None:
        """Start the scheduler."""
        self.start("scheduler", "--host", self.host, "--port", str(self.port))

    def worker(self, site: str = "", where: Sequence[str] = ()) -> None:
        """Start a worker."""
        arguments = "worker", self.address, "--nthreads", "1", "--no-nanny"
        self.start(*arguments, site=site, where=where)

    def kill(self) -> None:
        """Kill all of them."""
        for process in self.processes:
            process.kill()
            process.wait()
