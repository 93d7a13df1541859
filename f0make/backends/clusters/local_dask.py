"""A LocalCluster of Dask's in a process of its own, which ends it when f0make tells it to, or is gone.

In f0make's process its event loop would get in the way of the run's, Ctrl-C would hit its workers, and they could
not be started from every program that uses f0make as a library.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import f0make
from f0make.errors import UnreachableError


class LocalDask:
    """``jobs`` workers with one thread each; their files lie in ``directory``, which is removed at the end."""

    PATIENCE = 60.0
    """Seconds for the workers to start."""
    LEAVE = 4.0
    """Seconds for it to end in order."""

    def __init__(self, jobs: int, directory: str) -> None:
        self.jobs = jobs
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> tuple[str, dict[str, str]]:
        """The address of its scheduler, and what `Security` wants to be let in there. Raises UnreachableError."""
        shutil.rmtree(self._directory, ignore_errors=True)
        os.makedirs(self._directory)
        said = os.path.join(self._directory, "stderr")
        root = os.path.dirname(os.path.dirname(os.path.abspath(f0make.__file__)))
        with open(said, "wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, root, str(self.jobs), self._directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                text=True,
                # It and its workers import nothing from the workspace, where `token.py` may be anybody's.
                cwd=self._directory,
            )
        assert self._process.stdout is not None
        told = self._process.stdout.readline().strip()
        if not told:
            with open(said, encoding="utf-8", errors="replace") as file:
                last = file.read().strip().rpartition("\n")[2]
            self.stop()
            raise UnreachableError(f"--backend dask: its LocalCluster cannot be started: {last}")
        address, credentials = json.loads(told)
        return str(address), dict(credentials)

    def stop(self) -> None:
        """End it, and all that is left of it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(self.LEAVE)
        except subprocess.TimeoutExpired:
            process.kill()  # Its workers see that and end themselves.
            process.wait()
        process.stdout.close()
        shutil.rmtree(self._directory, ignore_errors=True)


_START = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]\n"
    "if __name__ == '__main__':\n    from f0make.backends.clusters.local_dask import main\n    main(sys.argv[2:])"
)


def main(argv: list[str]) -> None:
    """Run a LocalCluster until standard input is closed; print the address of its scheduler, and how to be let in.

    Whoever may connect to a scheduler may run commands as its user. So it speaks TLS with a certificate made for this
    run, which it also asks of everybody who connects, and listens on the loopback interface, without a dashboard.
    """
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    jobs, directory = int(argv[0]), argv[1]
    os.chdir(directory)
    os.chmod(directory, 0o700)
    nothing: dict[str, list[str]] = {
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    dask.config.set({"temporary-directory": directory, **nothing})
    security = Security.temporary()
    cluster: Any = LocalCluster(
        n_workers=jobs,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        worker_dashboard_address=None,
        host="127.0.0.1",
        protocol="tls://",
        security=security,
        local_directory=directory,
        memory_limit=0,
    )
    cluster.scheduler.http_server.stop()
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    print(json.dumps([cluster.scheduler_address, {n: getattr(security, n) for n in names}]), flush=True)
    sys.stdin.read()
    cluster.close(timeout=2)
    os._exit(0)
