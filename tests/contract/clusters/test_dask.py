"""Steps on a real Dask cluster of processes: a scheduler, a worker with a nanny and one without."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.options import Silent
from tests.support.cache_server import CacheServer
from tests.support.dask_world import ENDED, Dask, children, gone, wait_for
from tests.support.f0 import F0, interrupt
from tests.support.paths import PROJECT

pytest.importorskip("distributed", reason="Dask is not installed here")

RECIPE = """\
env:
  LC_ALL: C
steps:
  - name: count
    foreach:
      n:
        range: 1..3
    inputs:
      text: texts/${{ n }}.txt
      more: shared/
    outputs:
      - counts/${{ n }}.tsv
      - trees/${{ n }}/
    run: |
      echo "counting ${{ n }}"
      wc -w < ${{ inputs.text }} > ${{ outputs[0] }}
      mkdir -p ${{ outputs[1] }}/empty
      cp shared/tool.sh ${{ outputs[1] }}/
      ln -s tool.sh ${{ outputs[1] }}/link
  - name: total
    inputs: ${{ steps.count.outputs }}
    outputs: total.txt
    module: adding
    function: add
  - name: shout
    depends_on: total
    module: adding
    function: shout
    outputs: shout.txt
"""

ADDING = """\
import glob
from places import where

def add(ctx):
    total = sum(int(open(path).read()) for path in sorted(glob.glob("counts/*")))
    open(ctx.step.outputs[0], "w").write(f"{total} {where}\\n")
    ctx.set("total", total)

def shout(ctx):
    open(ctx.step.outputs[0], "w").write("!" * ctx.get("total"))
"""


def workspace(f0: F0) -> None:
    """The recipe and everything it reads."""
    f0.recipe(RECIPE)
    f0.write("adding.py", ADDING)
    f0.write("places.py", "where = 'here'\n")
    for n in range(1, 4):
        f0.write(f"texts/{n}.txt", "word " * n)
    f0.write("shared/tool.sh", "#!/bin/sh\n", 0o755)


def records(f0: F0) -> dict[str, dict[str, Any]]:
    """Instance -> its record without what belongs to this one attempt."""
    found = {}
    for line in f0.read(".f0make/records.log").splitlines():
        _, kind, payload = line.split(" ", 2)
        if kind == "record":
            record = json.loads(payload)
            assert record["instance"] not in found, "two records of one instance"
            # Outside of the workspace every machine looks elsewhere for modules.
            looked = {p: t for p, t in record.pop("discovered", {}).items() if not p.startswith("/")}
            record.update({"discovered": looked} if looked else {})
            own = (
                "run",
                "started",
                "times",
                "seconds",
                "cpu_seconds",
                "peak_mem",
                "read",
                "written",
                "writes",
                "host",
            )
            found[record["instance"]] = {k: v for k, v in record.items() if k not in own}
            found[record["instance"]]["writes"] = [
                {k: v for k, v in write.items() if k != "when"} for write in record.get("writes", [])
            ]
    return found


def contents(f0: F0) -> dict[str, tuple[int, bytes]]:
    """Everything in the workspace but the state: path -> (mode, bytes)."""
    found = {}
    for path in sorted(f0.workspace.rglob("*")):
        name = str(path.relative_to(f0.workspace))
        if not name.startswith(".f0make"):
            st = path.lstat()
            data = (
                os.readlink(path).encode()
                if path.is_symlink()
                else path.read_bytes()
                if path.is_file()
                else b""
            )
            found[name] = st.st_mode, data
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler, a worker with a nanny, and one without."""
    found = Dask(tmp_path_factory.mktemp("dask"))
    try:
        found.worker(wait=False)
        found.worker("--no-nanny")
        yield found
    finally:
        found.stop()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Dask]:
    """A scheduler without workers, to be treated badly."""
    found = Dask(tmp_path / "dask")
    try:
        yield found
    finally:
        found.stop()


def test_results_keys_and_records_are_those_of_a_local_run(f0: F0, tmp_path: Path, cluster: Dask) -> None:
    workspace(f0)
    result = f0.run("--backend", cluster.backend)
    assert set(result.states.values()) == {"ran"}
    hosts = {event["host"] for event in result.events if event["event"] == "step"}
    assert all(host.startswith("tcp://127.0.0.1:") for host in hosts)
    assert f0("log", "count[n=2]").stdout == "counting 2\n"

    here = F0(tmp_path / "local")
    here.workspace.mkdir()
    workspace(here)
    here.run()
    assert contents(f0) == contents(here)
    ours, theirs = records(f0), records(here)
    for name in {*ours, *theirs}:
        assert ours[name] == theirs[name], name
    assert set(os.listdir(f0.workspace / ".f0make" / "cache" / "cas")) == set(
        os.listdir(here.workspace / ".f0make" / "cache" / "cas")
    )
    # A run that begins within a clock tick of the last edit leaves no snapshot.
    known = [set(os.listdir(place.workspace / ".f0make")) - {"snapshots"} for place in (f0, here)]
    assert known[0] == known[1]


def test_nothing_to_do_opens_no_cluster(f0: F0, tmp_path: Path) -> None:
    workspace(f0)
    f0.run()
    trap = tmp_path / "trap"
    for name in ("dask", "distributed", "ray"):
        (trap / name).mkdir(parents=True)
        (trap / name / "__init__.py").write_text("raise SystemExit(77)\n")
    env = {"PYTHONPATH": f"{trap}{os.pathsep}{PROJECT}"}
    for backend in ("dask=tcp://127.0.0.1:9", "dask", "ray", "ray=127.0.0.1:9"):
        f0.environment = lambda more=None: {**os.environ, **env}  # type: ignore[method-assign]
        began = time.monotonic()
        assert f0.run("--backend", backend).summary["current"] == 5
        (f0.workspace / "adding.py").touch()  # the full way finds nothing to do either
        assert f0.run("--backend", backend).summary["current"] == 5
        assert time.monotonic() - began < 20


def test_a_worker_that_is_killed_mid_step_costs_no_attempt(f0: F0, tmp_path: Path, own_cluster: Dask) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: slow
    outputs: slow.txt
    run: |
      echo $$ >> {pids}
      test $(wc -l < {pids}) -gt 1 || sleep 300
      echo done > ${{{{ outputs }}}}
""")
    first = own_cluster.worker("--no-nanny")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", own_cluster.backend)
    wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
    own_cluster.worker()
    first.kill()
    _stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert f0.read("slow.txt") == "done\n"
    found = records(f0)
    assert found["slow"]["attempt"] == 2  # a lost attempt is no failure: there were no retries to use up
    assert "is gone" in stderr
    step = int(pids.read_text().split()[0])
    wait_for(lambda: gone(step), ENDED)


def test_a_scheduler_that_is_killed_ends_the_run_and_the_next_one_goes_on(
    f0: F0, tmp_path: Path, own_cluster: Dask
) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: quick
    outputs: quick.txt
    run: echo quick > ${{{{ outputs }}}}
  - name: slow
    inputs: quick.txt
    outputs: slow.txt
    run: |
      echo $$ >> {pids}
      test $(wc -l < {pids}) -gt 1 || sleep 300
      echo slow > ${{{{ outputs }}}}
""")
    own_cluster.worker("--no-nanny")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", own_cluster.backend)
    wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
    own_cluster.scheduler.kill()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 5, (stdout, stderr)
    assert "scheduler" in stderr and "Traceback" not in stderr
    step = int(pids.read_text().split()[0])
    wait_for(lambda: gone(step), 2 * ENDED)
    assert f0.run().states == {"quick": "current", "slow": "ran"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_steps_on_the_cluster(
    f0: F0, tmp_path: Path, cluster: Dask, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: slow
    outputs: slow.txt
    run: |
      trap '' TERM
      sleep 300 & echo $! >> {pids}; echo $$ >> {pids}
      while true; do sleep 1; done
""")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", cluster.backend)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    began = time.monotonic()
    result = interrupt(process, number)
    assert time.monotonic() - began < 10
    assert result.code == 128 + number and result.summary["status"] == "interrupted"
    assert all(gone(int(pid)) for pid in pids.read_text().split())
    assert not f0.exists("slow.txt")


def test_no_step_outlives_a_killed_f0make(f0: F0, tmp_path: Path, cluster: Dask) -> None:
    pids = tmp_path / "pids"
    f0.recipe(f"""\
steps:
  - name: slow
    outputs: slow.txt
    run: |
      sleep 300 & echo $! >> {pids}; echo $$ >> {pids}
      test $(wc -l < {pids}) -gt 2 || wait
      echo slow > ${{{{ outputs }}}}
""")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", cluster.backend)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.kill()
    process.communicate()
    steps = [int(pid) for pid in pids.read_text().split()]
    wait_for(lambda: all(gone(pid) for pid in steps), 2 * ENDED)
    assert f0.run("--backend", cluster.backend).states == {"slow": "ran"}


def test_failures_are_the_steps_own(f0: F0, cluster: Dask) -> None:
    f0.recipe("""\
steps:
  - name: bad
    outputs: bad.txt
    run: echo so far; echo half > ${{ outputs }}; exit 3
  - name: killed
    outputs: killed.txt
    run: kill -9 $$
  - name: late
    outputs: late.txt
    timeout: 0.3s
    module: naps
    function: nap
  - name: poor
    outputs: poor.txt
    module: nowhere_to_be_found
    function: go
  - name: again
    outputs: again.txt
    retries: 2
    run: test ${{ attempt }} = 3 && echo ${{ attempt }} > ${{ outputs }}
""")
    f0.write("naps.py", "import time\n\ndef nap():\n    time.sleep(60)\n")
    f0.write("nowhere_to_be_found.py", "import nothing_like_it\n\ndef go():\n    pass\n")
    result = f0.run("--backend", cluster.backend, "-k", code=1)
    assert result.states == {
        "bad": "failed",
        "killed": "failed",
        "late": "failed",
        "poor": "failed",
        "again": "ran",
    }
    assert result.reasons["bad"] == "exit code 3"
    assert "SIGKILL" in result.reasons["killed"]
    assert result.reasons["late"] == "timed out after 0.3 s"
    assert "nothing_like_it" in result.reasons["poor"]
    assert f0("log", "bad").stdout == "so far\n"
    assert f0.read("again.txt") == "3\n" and not f0.exists("bad.txt")


def test_what_steps_inherit(f0: F0, cluster: Dask) -> None:
    f0.recipe("""\
env:
  DECLARED: yes
steps:
  - name: env
    outputs: env.txt
    run: env | cut -d= -f1 | sort > ${{ outputs }}; test -d "$TMPDIR"; ls -A > "$TMPDIR/seen"; cat "$TMPDIR/seen"
""")
    f0.run("--backend", cluster.backend, env={"FROM_HERE": "1"})
    names = set(f0.read("env.txt").split())
    assert {"DECLARED", "PATH", "HOME", "USER", "TMPDIR", "F0MAKE_WORKSPACE"} <= names
    assert "FROM_HERE" not in names and not any(name.startswith("DASK") for name in names)
    assert f0("log", "env").stdout == "env.txt\n"


def test_a_secret_reaches_its_step_on_a_worker_and_nothing_else(
    f0: F0, tmp_path: Path, own_cluster: Dask
) -> None:
    f0.recipe(
        "secrets: TOKEN\nsteps:\n  - name: use\n    secrets: TOKEN\n    outputs: used\n    run: |\n"
        '      echo "it is $TOKEN"; cat /proc/[0-9]*/cmdline > all 2>/dev/null || true\n'
        '      if grep -q "$TOKEN" all; then echo shown > used; else printf %s "$TOKEN" | wc -c > used; fi\n'
        "  - name: other\n    depends_on: use\n    outputs: other\n    run: |\n"
        "      cat /proc/[0-9]*/environ > all 2>/dev/null || true\n"
        "      if grep -q hush[-] all; then echo seen > other; else echo ${TOKEN-none} > other; fi\n"
    )
    own_cluster.worker("--no-nanny")
    args, env = ("--backend", own_cluster.backend), {"TOKEN": "hush-77e0-31"}
    result = f0.run(*args, "-v", env=env)
    assert set(result.states.values()) == {"ran"}
    assert (f0.read("used").strip(), f0.read("other")) == ("12", "none\n")
    assert "it is ***" in f0("log", "use").stdout
    places = (f0.workspace / ".f0make", own_cluster.directory)
    kept = b"".join(p.read_bytes() for place in places for p in place.rglob("*") if p.is_file())
    assert b"hush-" not in kept + (result.stdout + result.stderr).encode()
    assert set(f0.run(env=env).states.values()) == {"current"}
    assert f0.run(env={"TOKEN": "hush-2"}).states["use"] == "ran"


def test_worker_resources_are_respected(f0: F0, own_cluster: Dask) -> None:
    f0.recipe("""\
steps:
  - name: train
    foreach:
      n:
        range: 1..3
    resources:
      gpu: 1
    outputs: train/${{ n }}.txt
    run: echo x > ${{ outputs }}
  - name: plain
    outputs: plain.txt
    run: echo x > ${{ outputs }}
""")
    own_cluster.worker("--no-nanny", "--nthreads", "2")
    own_cluster.worker("--no-nanny", "--resources", "GPU=1")
    result = f0.run("--backend", own_cluster.backend)
    hosts = {e["host"] for e in result.events if e["event"] == "step" and e["step"].startswith("train")}
    assert len(hosts) == 1


def test_workers_that_do_not_see_the_files_are_left_out_or_end_the_run(f0: F0, own_cluster: Dask) -> None:
    f0.recipe("steps:\n  - name: a\n    outputs: a.txt\n    run: echo a > ${{ outputs }}\n")
    hidden = f0.workspace.parent
    blind = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{hidden}" && exec "$@"', "sh"]
    if os.geteuid() or os.system("unshare -m true 2>/dev/null"):
        pytest.skip("mount namespaces cannot be made here")
    own_cluster.prefix = blind
    own_cluster.worker("--no-nanny")
    result = f0("run", "recipe.yaml", "--backend", own_cluster.backend)
    assert result.code == 5 and "--cache http" in result.stderr, result.stderr
    own_cluster.prefix = []
    own_cluster.worker("--no-nanny")
    result = f0("run", "recipe.yaml", "--backend", own_cluster.backend)
    assert result.code == 0 and "left out" in result.stderr, result.stderr


def test_contents_travel_through_a_server_where_files_are_not_shared(f0: F0, own_cluster: Dask) -> None:
    if os.geteuid() or os.system("unshare -m true 2>/dev/null"):
        pytest.skip("mount namespaces cannot be made here")
    hidden = f0.workspace.parent
    own_cluster.prefix = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{hidden}" && exec "$@"', "sh"]
    own_cluster.directory = hidden.parent / f"{hidden.name}-there"
    own_cluster.directory.mkdir()
    own_cluster.worker("--no-nanny")
    workspace(f0)
    server = CacheServer()
    server.start()
    try:
        cache = ["--cache", server.url]
        result = f0.run("--backend", own_cluster.backend, *cache)
        assert set(result.states.values()) == {"ran"}
        assert f0.read("total.txt") == "6 here\n" and f0("log", "count[n=1]").stdout == "counting 1\n"
        f0.write("texts/2.txt", "one two three four")
        states = f0.run("--backend", own_cluster.backend, *cache).states
        assert states["count[n=2]"] == "ran" and states["count[n=1]"] == "current"
    finally:
        server.stop()
        shutil.rmtree(own_cluster.directory, ignore_errors=True)


def test_a_cluster_of_its_own_is_gone_afterwards(f0: F0, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    workspace(f0)
    f0.write(
        "slow.yaml",
        f"steps:\n  - name: slow\n    outputs: s.txt\n    run: echo $$ > {pids}; exec sleep 300\n",
    )
    assert set(f0.run("--backend", "dask", "-j", "2").states.values()) == {"ran"}
    left = {"engine", "exchange"}
    assert not left & set(os.listdir(f0.workspace / ".f0make"))
    for number in (signal.SIGINT, signal.SIGKILL):
        pids.unlink(missing_ok=True)
        process = f0.start("run", "slow.yaml", "--json", "--backend", "dask", "-j", "1")
        wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
        started = [int(pids.read_text()), *children(process.pid)]
        assert len(started) >= 3
        began = time.monotonic()
        result = interrupt(process, number)
        assert time.monotonic() - began < 10
        if number == signal.SIGINT:
            assert result.code == 130
            assert not left & set(os.listdir(f0.workspace / ".f0make"))
        wait_for(lambda: all(gone(pid) for pid in started), 2 * ENDED)  # noqa: B023


def test_no_worker_for_a_while_ends_the_run(
    f0: F0, own_cluster: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from f0make.backends.clusters import cluster_backend as backend
    from f0make.executor import Executor

    class Notes(Silent):
        """Keeps what a person is told."""

        def __init__(self) -> None:
            self.texts: list[str] = []

        def note(self, text: str) -> None:
            self.texts.append(text)

    monkeypatch.setattr(backend, "PATIENCE", 2.0)
    f0.recipe("steps:\n  - name: a\n    outputs: a.txt\n    run: echo a > ${{ outputs }}\n")
    said = Notes()
    result = Executor(reporter=said, backend=own_cluster.backend, workspace=str(f0.workspace)).execute(
        "recipe.yaml"
    )
    assert (result.exit_code, result.steps) == (5, {"a": "cancelled"})
    assert "had no worker" in said.texts[-1]
    assert not f0.exists("a.txt")


def test_a_worker_may_come_late(f0: F0, own_cluster: Dask) -> None:
    f0.recipe("steps:\n  - name: a\n    outputs: a.txt\n    run: echo a > ${{ outputs }}\n")
    process = f0.start("run", "recipe.yaml", "--json", "--backend", own_cluster.backend)
    time.sleep(1.0)
    own_cluster.worker("--no-nanny")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, (stdout, stderr)
