"""Small steps on a Dask cluster against what its scheduler itself takes for as many calls of nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import peers, workloads
from bench.measure import Command, Timing, once
from bench.setting import JOBS, Setting, counted
from bench.table import Row
from bench.workloads import Workload

_PEER = """\
import sys, time
from distributed import Client

def nothing(n):
    return n

if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        client.gather(client.map(nothing, range(20), pure=False))
        began = time.perf_counter()
        found = client.gather(client.map(nothing, range(int(sys.argv[2])), pure=False))
        print(time.perf_counter() - began)
        assert found == list(range(int(sys.argv[2])))
"""


def engines(setting: Setting) -> Iterator[Row]:
    """A step through a running cluster, without the start and the end of f0make / a task of `Client.map`."""
    if peers.python_with("distributed") != sys.executable:
        return
    steps = 100 if setting.quick else 500
    place = setting.place / "engines"
    place.mkdir()
    (place / "peer.py").write_text(_PEER)
    cluster, address = _cluster(place)
    try:
        many = _prepared(setting, steps, address)
        one = _prepared(setting, 1, address)
        peer = Command("Client.map", [sys.executable, "peer.py", address, str(steps)], place)
        inside: list[float] = []
        peer.after = lambda said: inside.append(float(said.split()[0]))
        ours, theirs = Timing([]), Timing([])
        for number in range(setting.few + 1):
            whole, start = once(many), once(one)
            once(peer)
            if number:  # the first is the warm-up
                ours.seconds.append((whole - start) / (steps - 1))
                theirs.seconds.append(inside[-1] / steps)
        workloads.check_outputs(Workload("flat", steps), many.place)
        yield Row(
            f"a `cp` on Dask, {steps} of them, {JOBS} workers / a no-op of `Client.map`",
            ours,
            theirs,
            3.0,
            2.0,
        )
    finally:
        for process in cluster:
            process.kill()
            process.wait()
        shutil.rmtree(place / "scratch", ignore_errors=True)


def _prepared(setting: Setting, size: int, address: str) -> Command:
    work = Workload("flat", size)
    command = setting.prepared(work, ())["f0make"]
    argv = [word for word in command.argv if not word.startswith("-j")]
    return Command(
        "f0make",
        [*argv, "--backend", f"dask={address}"],
        command.place,
        setting.fresh(command.place),
        counted(ran=size),
    )


def _cluster(place: Path) -> tuple[list[subprocess.Popen[bytes]], str]:
    """A scheduler and `JOBS` workers of one thread each, as single processes."""
    found = place / "scheduler.json"

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *words, "--no-dashboard"],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    file = ["--scheduler-file", str(found)]
    processes = [start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *file)]
    worker = ["distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *file]
    processes += [start(*worker, "--local-directory", str(place / "scratch")) for _ in range(JOBS)]
    ready = "import sys; from distributed import Client; Client(scheduler_file=sys.argv[1]).wait_for_workers(int(sys.argv[2]), timeout=60)"
    while not found.exists():
        time.sleep(0.1)
    subprocess.run([sys.executable, "-c", ready, str(found), str(JOBS)], check=True)
    import json

    return processes, str(json.loads(found.read_text())["address"])
