"""The engine of dask: the same records as other engines, workers that die, resources."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from loptbench.engines import cluster
from loptbench.engines.choice import make_engine
from loptbench.engines.engine import Call, Chain, Engine, Needs
from loptbench.errors import LoptbenchError
from loptbench.results.store import Store
from loptbench.study.evaluation import evaluation_trials
from loptbench.study.execution import run_trials
from loptbench.study.run import select_implementations
from loptbench.tests.engines.test_engines import die_once, square
from loptbench.tuning.tuned_file import load_tuned
from loptbench.zoo.catalogue import shipped

pytestmark = pytest.mark.harness


def records(engine: Engine, folder: Path) -> dict[str, Any]:
    """What the evaluations of two optimizers on few problems measure, by the trials' names."""
    [entry] = select_implementations(["reference"])
    name = "quadratic-quick-jax-0"
    checkpoints = {name: shipped(name)}
    trials = evaluation_trials(
        entry, checkpoints, [name], load_tuned(), 0, ["quadratic"], {"quadratic": 4}
    )
    made = run_trials([*trials], Store.create(folder), [entry], engine=engine)
    return {record.name: record.model_dump(mode="json", exclude={"provenance"}) for record in made}


def pid_of_parent(_: int) -> int:
    """The number of the process of the worker, whose child makes calls."""
    return os.getppid()


def test_a_cluster_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS_UNTIL_REFUSED", 0.0)
    with make_engine() as here:
        expected = records(here, tmp_path / "here")
    said: list[str] = []
    with make_engine("dask", jobs=1) as made:
        made.say = said.append
        assert list(made.map(square, range(5))) == [0, 1, 4, 9, 16]
        assert records(made, tmp_path / "dask") == expected
        # The process of a call dies, then that of a worker.
        assert len(list(made.map(die_once, [tmp_path / "mark"]))) == 1

        def killing() -> Chain[tuple[int, int]]:
            before = yield Call(pid_of_parent, (0,))
            os.kill(before, signal.SIGKILL)
            return before, (yield Call(pid_of_parent, (0,)))

        [(before, after)] = made.run([killing()])
        assert before != after

        def demanding(needs: Needs) -> Chain[int]:
            result: int = yield Call(square, (3,), needs=needs)
            return result

        assert made.run([demanding(Needs(gpus=1))]) == [9]
        with pytest.raises(LoptbenchError, match=r"declares 2 GPU: .* --resources GPU=2"):
            made.run([demanding(Needs(gpus=2))])
        implementation = object()

        def unknown() -> Chain[None]:
            yield Call(square, (implementation,), {"nowhere:Mine": implementation})

        with pytest.raises(LoptbenchError, match=r"no worker .* can go on: .*module .nowhere."):
            made.run([unknown()])
    assert "; dashboard: http://127.0.0.1:" in said[0]
    assert any(
        line.startswith("not used for this implementation: tcp://127.0.0.1:") for line in said
    )


def test_a_worker_that_dask_gives_up_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    monkeypatch.setattr(cluster, "SECONDS_TO_COME_BACK", 60.0)
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0s"}),
        make_engine("dask", jobs=1) as made,
    ):
        [before] = made.map(pid_of_parent, [0])
        os.kill(before, signal.SIGKILL)  # dask ends the process that would start it again
        assert list(made.map(square, [3])) == [9]
