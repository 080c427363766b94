"""Workers that are killed at random, a scheduler that starts again, workers of other versions."""

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loptbench.discovery import get_implementation, source_of
from loptbench.engines import cluster
from loptbench.engines.choice import make_engine
from loptbench.engines.engine import Call, Chain, Engine
from loptbench.errors import LoptbenchError
from loptbench.tasks import get_task
from loptbench.tests.engines.machines import Machines
from loptbench.tests.engines.test_cluster import records
from loptbench.tests.engines.test_engines import square
from loptbench.training import chain as training_chain
from loptbench.training.chain import training
from loptbench.training.settings import MetaTraining
from loptbench.tuning import search, searches

pytestmark = [pytest.mark.harness, pytest.mark.slow]

CONFIG = MetaTraining(
    n_units=4,
    n_outer_steps=12,
    batch_size=4,
    n_steps=15,
    dtype="float64",
    validation_size=8,
    validate_every=2,
)
SEARCH = search.Settings(n_draws=24, n_refining=8, boxes=((1, 0.1),), n_problems=2)
N_KILLS = 20


@pytest.fixture
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call of long work is a step or a block."""
    monkeypatch.setattr(training_chain, "SECONDS_OF_A_CALL", -1.0)
    monkeypatch.setattr(searches, "SECONDS_OF_A_CALL", -1.0)


def all_bytes(engine: Engine, folder: Path) -> dict[str, Any]:
    """What a study, a meta-training and a search make."""
    folder.mkdir()
    reference, source = get_implementation("reference"), source_of("reference")
    trained, tuned = folder / "trained.safetensors", folder / "tuned.json"
    engine.run([training(reference, CONFIG, {0: trained}, source=source)])
    planned = [(get_task("quadratic"), kind, SEARCH) for kind in ("sgd", "momentum")]
    searches.tune(reference, planned, tuned, engine=engine, known={source: reference})
    made: dict[str, Any] = records(engine, folder / "store")
    return made | {path.name: path.read_bytes() for path in (trained, tuned)}


class Killer:
    """Kills workers of a cluster on this machine while they make calls.

    A call is killed three times at most: a call that ends five workers is refused.
    """

    def __init__(self, made: Any) -> None:
        self.made, self.rng = made, np.random.default_rng(0)
        self.n_kills, self.of_call = 0, Counter[bytes]()

    def submit(self, worker: Any, call: Any, original: Any) -> Any:
        """Give a worker a call, and kill it soon, or not."""
        future = original(worker, call)
        if self.rng.uniform() < 0.5 and self.of_call[call.packed] < 3 and self.n_kills < N_KILLS:
            self.of_call[call.packed] += 1
            threading.Timer(self.rng.uniform(0, 0.3), self.kill, [worker.address]).start()
        return future

    def kill(self, address: str) -> None:
        """Kill the process of a worker, if it is still there."""
        for nanny in self.made._own.workers.values():
            if nanny.worker_address == address and nanny.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(nanny.pid, signal.SIGKILL)
                    self.n_kills += 1


@pytest.mark.usefixtures("short_calls")
def test_workers_are_killed_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    with make_engine() as here:
        expected = all_bytes(here, tmp_path / "here")
    with make_engine("dask", jobs=2) as made:
        killer = Killer(made)
        original = cluster._Worker.submit
        monkeypatch.setattr(
            cluster._Worker, "submit", lambda worker, call: killer.submit(worker, call, original)
        )
        n = 0
        while killer.n_kills < N_KILLS:
            assert all_bytes(made, tmp_path / f"dask-{n}") == expected
            n += 1


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    pytest.importorskip("distributed")
    made = Machines(tmp_path)
    made.scheduler()
    yield made
    made.kill()


def test_a_scheduler_that_starts_again_is_found_again(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 300.0)

    def interrupted() -> Chain[list[int]]:
        results = [(yield Call(square, (2,)))]
        machines.kill()
        return [*results, (yield Call(square, (3,)))]

    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "is away" in line:  # were it started at once, dask might connect to it by itself
            machines.scheduler()
            machines.worker()

    machines.worker()
    with make_engine("dask", scheduler=machines.address) as made:
        made.say = say
        assert made.run([interrupted()]) == [[4, 9]]
    assert any("is away: waiting for it" in line for line in said)
    assert any("is back" in line for line in said)


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
OTHER = """
import importlib.metadata as metadata
true_version = metadata.version
metadata.version = lambda name: "0.1" if name == "numpy" else true_version(name)
"""


def naming(name: str) -> Chain[str]:
    """Asks a worker's own implementation for its name."""
    implementation = get_implementation(name)
    answer: str = yield Call(getattr, (implementation, "name"), {source_of(name): implementation})
    return answer


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (WITHOUT.format(name="loptbench"), "No module named 'loptbench'; install loptbench there"),
        (WITHOUT.format(name="scipy"), "scipy"),
        (OTHER, "it has numpy 0.1, but here is"),
    ],
)
def test_a_worker_that_would_compute_other_numbers_is_not_used(
    site: str, message: str, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SECONDS_UNTIL_REFUSED", 0.0)
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 300.0)
    machines.worker(site)
    with make_engine("dask", scheduler=machines.address) as made:
        said: list[str] = []
        made.say = said.append
        with pytest.raises(LoptbenchError, match=r"no worker .* can go on") as error:
            made.run([naming("reference")])
        assert message in str(error.value)
        begins = ("not used: tcp:", "not used for this implementation: tcp:")
        assert any(line.startswith(begins) and "//127.0.0.1" in line for line in said)
        monkeypatch.setattr(cluster, "SECONDS_UNTIL_REFUSED", 300.0)
        machines.worker()  # another one, which has everything
        assert made.run([naming("reference")]) == ["reference"]


def test_a_worker_without_jax_computes_what_needs_none(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 300.0)
    machines.worker(WITHOUT.format(name="jax"))
    with make_engine("dask", scheduler=machines.address) as made:
        said: list[str] = []
        made.say = said.append
        assert made.run([naming("reference")]) == ["reference"]
        monkeypatch.setattr(cluster, "SECONDS_UNTIL_REFUSED", 0.0)
        with pytest.raises(LoptbenchError, match=r"no worker .* go on: .*'loptbench\[jax\]'; what"):
            made.run([naming("jax")])
        assert any(line.startswith("not used for this implementation: tcp://") for line in said)
        monkeypatch.setattr(cluster, "SECONDS_UNTIL_REFUSED", 300.0)
        machines.worker()  # another one, which has it
        assert made.run(map(naming, ["jax", "reference"])) == ["jax", "reference"]
