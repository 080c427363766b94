"""Engines: the order of calls, what happens between them, and workers that are lost."""

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loptbench.engines import cluster, engine
from loptbench.engines.choice import make_engine
from loptbench.engines.engine import Call, Chain, Engine, Fork
from loptbench.engines.packing import unpack
from loptbench.engines.worker_check import Versions, versions_here, why_unsuitable
from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.optimizers.kinds import VARIABLE

pytestmark = pytest.mark.harness


@pytest.fixture(params=[1, 2])
def local(request: pytest.FixtureRequest) -> Any:
    with make_engine(jobs=request.param) as made:
        yield made


def add(a: int, b: int) -> int:
    return a + b


def square(a: int) -> int:
    return a * a


def die_once(mark: Path) -> int:
    """Ends the process the first time that it is called with this file."""
    if mark.exists():
        return os.getpid()
    mark.touch()
    os._exit(1)


def refuse(kind: type[Exception], *arguments: Any) -> None:
    raise kind(*arguments)


def counting(a: int, n: int, seen: Callable[[int], None]) -> Chain[int]:
    for _ in range(n):
        a = yield Call(add, (a, 1))
        seen(a)
    return a


def test_a_map_keeps_the_order(local: Engine) -> None:
    assert list(local.map(square, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert list(local.map(square, [])) == []


def test_the_calls_of_a_chain_follow_each_other_here(local: Engine) -> None:
    seen: list[int] = []
    assert local.run(counting(10 * i, i, seen.append) for i in range(4)) == [0, 11, 22, 33]
    assert sorted(seen) == [11, 21, 22, 31, 32, 33]


def test_a_chain_forks(local: Engine) -> None:
    ended: list[int] = []

    def forking() -> Chain[str]:
        a = yield Call(add, (1, 1))
        yield Fork([counting(a, n, ended.append) for n in (1, 2)])
        return "forked"

    assert local.run([forking()]) == ["forked"]
    assert sorted(ended) == [3, 3, 4]


def test_an_error_is_raised_in_its_chain_and_ends_the_others(local: Engine) -> None:
    closed: list[str] = []

    def careful() -> Chain[str]:
        try:
            yield Call(refuse, (UnknownNameError, "task", "moons", ["digits"]))
        except UnknownNameError as error:
            return str(error)
        return ""

    assert local.run([careful()]) == ["unknown task 'moons'; known are: digits"]

    def careless() -> Chain[None]:
        try:
            yield Call(refuse, (ZeroDivisionError, "no"))
        finally:
            closed.append("careless")

    with pytest.raises(ZeroDivisionError, match="no"):
        local.run([careless(), *(counting(0, 99, lambda _: None) for _ in range(2))])
    assert closed == ["careless"]
    assert list(local.map(square, [3])) == [9]


def test_a_process_that_dies_costs_the_call_that_it_made(tmp_path: Path) -> None:
    with make_engine(jobs=2) as processes:
        made_in = list(processes.map(die_once, [tmp_path / "a", tmp_path / "b"]))
    assert os.getpid() not in made_in


def test_a_call_that_ends_every_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_LOST", 2)
    with (
        make_engine(jobs=2) as processes,
        pytest.raises(LoptbenchError, match="process that ran trials died, 2 times in the same"),
    ):
        list(processes.map(os._exit, [1]))


def test_unknown_names_and_a_scheduler_without_dask_are_refused() -> None:
    with pytest.raises(LoptbenchError, match="unknown engine 'ray'; known are: local, dask"):
        make_engine("ray")
    with pytest.raises(LoptbenchError, match="a scheduler goes with the engine dask only"):
        make_engine("local", scheduler="tcp://127.0.0.1:8786")


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LoptbenchError, match=r"pip install 'loptbench\[dask\]'"):
        make_engine("dask")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", "no dask scheduler answers at tcp://127.0.0.1:9 within 0.5 s"),
    ],
)
def test_an_address_without_a_scheduler_is_said(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 0.5)
    with make_engine("dask", scheduler=address) as made, pytest.raises(LoptbenchError) as error:
        list(made.map(square, [1]))
    assert message in str(error.value)


@pytest.mark.parametrize("address", ["carrier-pigeon://x", "foo", "http://x:9", "tcp://127.0.0.1"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    """Before a client is made, which would wait for an answer when it is deleted."""
    pytest.importorskip("distributed")
    with pytest.raises(LoptbenchError, match=f"'{address}' is no address of a dask scheduler"):
        make_engine("dask", scheduler=address)


def test_a_cluster_that_does_not_end_in_time_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    end = distributed.LocalCluster.close

    def late(self: object, timeout: float | None = None) -> None:
        end(self, timeout)
        raise TimeoutError(f"timed out after {timeout} s.")

    monkeypatch.setattr(distributed.LocalCluster, "close", late)
    with make_engine("dask") as made:
        assert list(made.map(square, [3])) == [9]


def test_what_a_worker_has_is_held_to_what_is_here() -> None:
    here = versions_here("loptbench.implementations.reference.implementation:Implementation")
    assert {"loptbench", "numpy", "scipy"} <= here.of.keys()
    assert why_unsuitable(here, here) == ""
    assert "numpy 1.0, but here is" in why_unsuitable(
        here, here._replace(of={**here.of, "numpy": "1.0"})
    )
    lacking = here._replace(of={k: v for k, v in here.of.items() if k != "scipy"})
    assert "scipy missing" in why_unsuitable(here, lacking)
    assert "other sources" in why_unsuitable(here, here._replace(code="0" * 64))
    missing = versions_here("no_such_module:Mine")
    assert "no_such_module" in why_unsuitable(Versions(here.code, {}), missing)


def test_a_worker_knows_what_was_imported_after_the_engine_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a worker that another caller named other architectures to."""
    pytest.importorskip("distributed")
    (tmp_path / "brought.py").write_text(f"def named(): import os; return os.environ[{VARIABLE!r}]")
    own_path = [*sys.path]
    with make_engine("dask") as made:
        monkeypatch.setattr(sys, "path", [str(tmp_path), *own_path])
        monkeypatch.setenv(VARIABLE, "brought:Architecture")
        packed = made.prepare(Call(importlib.import_module("brought").named)).packed
    monkeypatch.setattr(sys, "path", own_path)
    monkeypatch.delitem(sys.modules, "brought")
    monkeypatch.setenv(VARIABLE, "before:Architecture")
    assert unpack(pickle.loads(packed)) == "brought:Architecture"


def test_errors_for_users_survive_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnknownNameError("task", "x", ["y"], "; or so")))
    assert str(error) == "unknown task 'x'; known are: y; or so"
