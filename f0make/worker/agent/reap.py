"""Ending what an agent's workers have started, and collecting what has ended. Part of what is sent."""

from __future__ import annotations

import os
from collections.abc import Collection

from f0make.worker import system, terminate
from f0make.worker.agent import host_info
from f0make.worker.agent.agent_workers import Worker


def end_orphans(workers: Collection[Worker]) -> None:
    """End what a dead worker has left to this process; ``workers`` are those that live."""
    me, spared = os.getpid(), {worker.pid for worker in workers}

    def find() -> list[int]:
        known = system.everyone()
        roots = [pid for pid, about in known.items() if about[1] == me and pid not in spared]
        return [*roots, *terminate.descendants(roots, known)]

    terminate.end(find, 0.0)
    reap(spared)


def end_everything(workers: Collection[Worker], grace: float) -> None:
    """TERM to every process of every step, KILL after ``grace`` seconds, workers included."""
    pids = {worker.pid for worker in workers}
    busy = [worker for worker in workers if worker.bundle is not None]
    if busy and grace > 0:
        terminate.end(lambda: terminate.descendants(pids), grace, 0.5)
    me = os.getpid()
    terminate.end(lambda: terminate.descendants([me]), 0.0)
    reap(set())


def reap(spared: Collection[int]) -> None:
    """Collect children that have ended, but for ``spared``: those are waited for one by one."""
    for pid, about in host_info.children(os.getpid()):
        if pid not in spared and about == "Z":
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
