"""A real local backend in a temporary workspace, for the tests of `f0make.worker`."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from f0make.backends.base import BackendEvent
from f0make.backends.local import forkserver
from f0make.backends.local.jobserver.token_pool import Jobserver
from f0make.backends.local.local_backend import LocalBackend
from f0make.worker.bundle import Bundle, Outcome


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until ``condition`` gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    """Whether ``pid`` runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def pid_in(path: Path) -> int:
    """The pid that a step writes to ``path``, waiting for it."""
    return int(until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text()))


WORKERS = "LAB_WORKERS"
"""Environment variable: ``forked`` makes each Lab fork the workers of shell steps, as the command line does."""


class Lab:
    """A workspace with a running backend."""

    def __init__(
        self,
        path: Path,
        jobs: int = 1,
        environ: dict[str, str] | None = None,
        jobserver: Callable[[], Jobserver | None] = lambda: None,
    ) -> None:
        if os.environ.get(WORKERS) == "forked":
            with warnings.catch_warnings():
                # Threads of the test runner's own, which hold no lock that the server needs.
                warnings.simplefilter("ignore", DeprecationWarning)
                forkserver.prepare(threads=True)
        self.path = path
        self.inbox: SimpleQueue[BackendEvent] = SimpleQueue()
        self.backend = LocalBackend(jobs, str(path), environ, jobserver)
        self._count = itertools.count(1)
        self.backend.start(self.inbox.put)

    def bundle(self, command: str | None = None, **fields: Any) -> Bundle:
        number = next(self._count)
        state = self.path / ".f0make"
        outputs = fields.pop("outputs", ())
        base: dict[str, Any] = {
            "token": f"t{number}",
            "instance": f"step{number}",
            "step": f"step{number}",
            "attempt": 1,
            "kind": "shell" if command is not None else "python",
            "workspace": str(self.path),
            "command": command,
            "outputs": [(o.rstrip("/"), o.endswith("/")) for o in outputs],
            "log": str(state / "logs" / f"{number}.log"),
            "scratch": str(state / "run"),
        }
        return Bundle(**{**base, **fields})

    def submit(self, command: str | None = None, **fields: Any) -> Bundle:
        bundle = self.bundle(command, **fields)
        self.backend.submit(bundle)
        return bundle

    def outcome(self, seconds: float = 20.0) -> Outcome:
        found = self.inbox.get(timeout=seconds)
        assert isinstance(found, Outcome)
        if not found.ok and not found.lost:
            self.backend.go_on()
        return found

    def run(self, command: str | None = None, **fields: Any) -> Outcome:
        bundle = self.submit(command, **fields)
        outcome = self.outcome()
        assert outcome.token == bundle.token
        self.last_log = Path(bundle.log)
        return outcome

    @property
    def log(self) -> str:
        return self.last_log.read_text() if self.last_log.exists() else ""

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def stop(self, grace: float = 1.0) -> None:
        self.backend.stop(grace)


def run_files(workspace: Path) -> list[str]:
    return os.listdir(workspace / ".f0make" / "run")
