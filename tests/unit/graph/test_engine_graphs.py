"""The graph in the engines' terms, computed by the engines themselves."""

from __future__ import annotations

from typing import Any

import pytest

from f0make.dependency_graph import CycleError, DependencyGraph

TASKS = {
    "fetch": [],
    "clean": ["fetch"],
    "count": ["clean"],
    "plot": ["count", "clean"],
    "report": ["plot", "count", "a file that nobody makes"],
}


def graph() -> DependencyGraph:
    """The tasks above, added in an order that is none of theirs."""
    found = DependencyGraph()
    for name in sorted(TASKS):
        found.add_task(name, TASKS[name])
    return found


def told(name: str, *results: Any) -> Any:
    """A result that tells its whole history."""
    return name, list(results)


def expected(name: str) -> Any:
    """What `told` must come to."""
    return name, [expected(need) for need in TASKS.get(name, [])]


def test_dask_computes_it() -> None:
    dask = pytest.importorskip("dask", reason="Dask is not installed here")
    made = graph().to_dask(told)
    assert set(made) == {*TASKS, "a file that nobody makes"}
    for get in (dask.get, dask.threaded.get) if hasattr(dask, "threaded") else (dask.get,):
        assert get(made, "report") == expected("report")
    assert dask.get(graph().to_dask(), ["report", "fetch"]) == ("report", "fetch")


def test_a_distributed_scheduler_computes_it() -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed here")
    with (
        distributed.LocalCluster(
            n_workers=1, processes=False, threads_per_worker=2, dashboard_address=None, protocol="inproc://"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.get(graph().to_dask(told), "report") == expected("report")


def test_a_cycle_is_no_graph_for_an_engine() -> None:
    found = graph()
    found.add_task("fetch", ["report"])
    with pytest.raises(CycleError):
        found.to_dask()
    with pytest.raises(CycleError):
        found.to_ray()
