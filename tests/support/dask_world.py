"""A real Dask cluster of single processes for tests: a scheduler and workers that can be killed one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ENDED = 5.0
"""Seconds for processes to be gone."""


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Until ``what`` says yes."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether there is no such process, or only its exit code is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Dask:
    """Processes in ``directory``; every one leads a session of its own."""

    def __init__(self, directory: Path, tls: list[str] | None = None, scheme: str = "tcp") -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._tls = tls or []
        self._scheme = scheme
        self.prefix: list[str] = []
        """Words before the command of a process: what starts it somewhere else."""
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler, self.address = self._start_scheduler()

    def _start(self, name: str, *args: str) -> subprocess.Popen[bytes]:
        # Not in the repository, and without f0make on its path: workers have nothing of it.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        env["DASK_TEMPORARY_DIRECTORY"] = str(self.directory / "scratch")
        with open(self.directory / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [
                    *self.prefix,
                    sys.executable,
                    "-P" if sys.version_info >= (3, 11) else "-B",
                    "-m",
                    "distributed.cli." + args[0],
                    *args[1:],
                    *self._tls,
                ],
                cwd=self.directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start_scheduler(self) -> tuple[subprocess.Popen[bytes], str]:
        found = self.directory / "scheduler.json"
        protocol = [] if self._scheme == "tcp" else ["--protocol", self._scheme]
        process = self._start(
            *("scheduler", "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--scheduler-file", str(found), *protocol),
        )
        wait_for(lambda: process.poll() is not None or (found.exists() and found.read_text().endswith("}")))
        assert process.poll() is None, (self.directory / "scheduler.log").read_text()
        import json

        return process, json.loads(found.read_text())["address"]

    def worker(self, *args: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start a worker with one thread and the options ``args``, and wait until the scheduler has it."""
        name = f"worker-{len(self.workers)}"
        process = self._start(
            *(name, "dask_worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard"),
            *("--name", name, "--memory-limit", "0", *args),
        )
        self.workers.append(process)
        log = self.directory / f"{name}.log"
        if wait:
            wait_for(lambda: process.poll() is not None or "Registered to:" in log.read_text())
            assert process.poll() is None, log.read_text()
        return process

    @property
    def backend(self) -> str:
        """What `--backend` takes."""
        return f"dask={self.address}"

    def stop(self) -> None:
        """Kill all of it."""
        for process in [self.scheduler, *self.workers]:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                pass
            process.wait()


def children(pid: int) -> list[int]:
    """The processes below ``pid``, at any depth."""
    found: list[int] = []
    pending = [pid]
    while pending:
        parent = pending.pop()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(path.parent.name))
                pending.append(found[-1])
    return found
