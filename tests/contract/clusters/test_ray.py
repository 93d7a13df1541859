"""Steps on a real Ray, one head node on this machine for all tests here, and one started by f0make itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.clusters.test_dask import contents, records, workspace
from tests.support.dask_world import ENDED, gone, wait_for
from tests.support.f0 import F0, interrupt
from tests.support.paths import PROJECT
from tests.support.ray_world import Ray

ray = pytest.importorskip("ray", reason=f"Ray is not installed here (Python {sys.version_info[:2]})")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ray]:
    """One Ray for all tests of this module."""
    found = Ray()
    try:
        yield found
    finally:
        found.stop()


def test_results_keys_and_records_are_those_of_a_local_run(f0: F0, tmp_path: Path, cluster: Ray) -> None:
    workspace(f0)
    result = f0.run("--backend", cluster.backend, env=cluster.env)
    assert set(result.states.values()) == {"ran"}
    here = F0(tmp_path / "local")
    here.workspace.mkdir()
    workspace(here)
    here.run()
    assert contents(f0) == contents(here)
    assert records(f0) == records(here)


def test_a_worker_that_is_killed_mid_step_costs_no_attempt(f0: F0, tmp_path: Path, cluster: Ray) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: slow
    outputs: slow.txt
    resources:
      licence: 1
    run: |
      echo $$ >> {pids}
      test $(wc -l < {pids}) -gt 1 || sleep 300
      echo done > ${{{{ outputs }}}}
""")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", cluster.backend, env=cluster.env)
    wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
    step = int(pids.read_text())
    os.kill(
        parent(parent(parent(step))), 9
    )  # above the step are the two parts of f0make's child, then the worker
    _stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert records(f0)["slow"]["attempt"] == 2
    wait_for(lambda: gone(step), ENDED)


def test_an_interrupt_and_a_kill_leave_no_step(f0: F0, tmp_path: Path, cluster: Ray) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: slow
    outputs: slow.txt
    run: sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; wait
""")
    for number in (2, 9):
        pids.unlink(missing_ok=True)
        process = f0.start("run", "recipe.yaml", "--json", "--backend", cluster.backend, env=cluster.env)
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        steps = [int(pid) for pid in pids.read_text().split()]
        began = time.monotonic()
        if number == 2:
            assert interrupt(process).code == 130
            assert all(gone(pid) for pid in steps)
            assert time.monotonic() - began < 10
        else:
            process.kill()
            process.communicate()
            wait_for(lambda: all(gone(pid) for pid in steps), 2 * ENDED)  # noqa: B023


def test_ray_computes_a_graph_by_references(cluster: Ray) -> None:
    script = f"""
import sys, ray
sys.path.insert(0, {str(PROJECT)!r})
from tests.unit.graph.test_engine_graphs import expected, graph
def told(name, *results):
    return name, list(results)
ray.init(address={cluster.address!r}, log_to_driver=False)
found = graph().to_ray(told)
assert ray.get(found["report"]) == expected("report")
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **cluster.env}, check=True, timeout=60)


def test_a_cluster_of_its_own_is_gone_afterwards(f0: F0, tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    workspace(f0)
    result = f0.run("--backend", "ray", "-j", "2", env={"HOME": str(tmp_path), "TMPDIR": "/tmp"}, timeout=120)
    assert set(result.states.values()) == {"ran"}
    assert not any(Path("/tmp").glob(f"f0make-ray-*/session_*_{os.getpid()}"))


def parent(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
