"""The host as an agent finds it, and as it leaves it: its room, and what agents that are gone have left. Part of what
is sent.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from f0make.worker import system, terminate
from f0make.worker.cores import usable_cores
from f0make.worker.run_marks import VARIABLE
from f0make.workspace.remove import remove_path


def mark_of(pid: int) -> str:
    """Names the process ``pid`` for good: its number, when it was started, the boot, and the host.

    Several hosts may share one home, and with it a workdir.
    """
    about = system.facts(pid)
    stamp = about[4] if about is not None and about[0] not in "ZX" else 0
    return f"{pid}-{stamp}-{system.boot()[:8]}-{socket.gethostname()}"


def children(pid: int) -> list[tuple[int, str]]:
    """The children of ``pid``, dead ones too, each with the letter of its state."""
    found = []
    try:
        names = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        about = system.facts(name)
        if about is not None and about[1] == pid:
            found.append((name, about[0]))
    return found


def describe(workdir: str, slots: int) -> dict[str, Any]:
    """What f0make wants to know about this host: version of Python, slots, room, and what may go wrong."""
    room = os.statvfs(workdir)
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "slots": slots,
        "cores": usable_cores(),
        "free": room.f_bavail * room.f_frsize,
        "workdir": workdir,
        "noexec": bool(room.f_flag & getattr(os, "ST_NOEXEC", 8)),
        "reaper": system.REAPER,
    }


def clear_away(workdir: str) -> None:
    """Remove what agents that are gone have left, and end what they started."""
    runs = os.path.join(workdir, "run")
    try:
        names = os.listdir(runs)
    except OSError:
        return
    for name in names:
        pid, _, _, where = (*name.split("-", 3), "", "", "")[:4]
        if not pid.isdigit() or where != socket.gethostname():
            continue
        if name == mark_of(int(pid)):
            continue

        def find(mark: str = name) -> list[int]:
            known = system.everyone()
            roots = [p for p in known if p != os.getpid() and system.marked(p, VARIABLE, mark)]
            return [*roots, *terminate.descendants(roots, known)]

        terminate.end(find, 0.0)
        try:
            remove_path(os.path.join(runs, name))
        except OSError:
            continue
