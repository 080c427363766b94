"""Workers in networks of their own, each with an address that only the scheduler's machine reaches.

Needs Linux and the right to make network namespaces; skipped elsewhere.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loptbench.engines import cluster
from loptbench.engines.choice import make_engine
from loptbench.engines.engine import Call, Chain
from loptbench.tests.engines.machines import Machines
from loptbench.tests.engines.test_cluster import records

pytestmark = [pytest.mark.harness, pytest.mark.slow]

NETWORKS = ("loptbench0", "loptbench1")

MANY = 2000
"""Times that the workers are asked where they are, until both have answered."""


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def link(i: int) -> str:
    """The name of this machine's end of the cable to network `i`."""
    return f"loptbench{i}a"


def remove(name: str) -> None:
    """Remove a network, and with it both ends of its cable."""
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def address(i: int, end: int) -> str:
    return f"10.213.{i}.{end}"


def connect(i: int, name: str) -> None:
    """Make a network and a cable to it: address 1 is here, address 2 there."""
    there = ("ip", "netns", "exec", name, "ip")
    run("ip", "netns", "add", name)
    run("ip", "link", "add", link(i), "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "addr", "add", f"{address(i, 1)}/30", "dev", link(i))
    run("ip", "link", "set", link(i), "up")
    run(*there, "link", "set", "lo", "up")
    run(*there, "addr", "add", f"{address(i, 2)}/30", "dev", "eth0")
    run(*there, "link", "set", "eth0", "up")
    run(*there, "route", "add", "default", "via", address(i, 1))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """A scheduler here, and a worker in each network."""
    pytest.importorskip("distributed")
    if shutil.which("ip") is None:
        pytest.skip("there is no command ip here")
    for name in NETWORKS:
        remove(name)
    try:
        for i, name in enumerate(NETWORKS):
            connect(i, name)
    except subprocess.CalledProcessError as error:
        for name in NETWORKS:
            remove(name)
        pytest.skip(f"networks cannot be made here: {error.stderr.decode().strip()}")
    made = Machines(tmp_path, address(0, 1))
    made.scheduler()
    for name in NETWORKS:
        made.worker(where=("ip", "netns", "exec", name))
    yield made
    made.kill()
    for name in NETWORKS:
        remove(name)


def network(_: object) -> int:
    """The number of the network that makes the call."""
    shown = subprocess.run(["ip", "addr"], check=True, capture_output=True).stdout.decode()
    return next(i for i in range(len(NETWORKS)) if f"{address(i, 2)}/" in shown)


def test_records_are_the_same_from_other_networks_and_a_cable_may_be_pulled(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 300.0)

    def ask() -> Chain[int]:
        answer: int = yield Call(network, (0,))
        return answer

    def pulling() -> Chain[tuple[int, int]]:
        before: int = yield Call(network, (0,))
        run("ip", "link", "set", link(before), "down")
        return before, (yield Call(network, (0,)))

    with make_engine() as here:
        expected = records(here, tmp_path / "here")
    with make_engine("dask", scheduler=machines.address) as made:
        for _ in range(MANY):
            if {*made.run([ask() for _ in range(8)])} == {*range(len(NETWORKS))}:
                break
        else:
            pytest.fail("one of the workers made no call")
        assert records(made, tmp_path / "dask") == expected
        [(before, after)] = made.run([pulling()])
        assert {before, after} == {*range(len(NETWORKS))}
        assert records(made, tmp_path / "pulled") == expected
