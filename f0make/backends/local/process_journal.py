"""The journal of running steps in `.f0make/run/`, and ending what a run that was killed left behind.

A file ``run-PID`` marks that a run is under way, a file ``worker-PID`` names a worker and the process group
that it started last. All are removed when a run ends in order, so an empty directory means: nothing to do.
A process is identified by pid and start time, so that a pid that is used again never hits a stranger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from f0make.errors import StateError
from f0make.fast_dataclass import dataclass
from f0make.worker import step_log, system, terminate
from f0make.worker.run_marks import RUN, TRANSIT, VARIABLE, workspace_id

_UNFINISHED = ("restore-", ".f0make-")
"""How the names begin of what was being restored when its run was killed (`workspace.restore`)."""
_FORMAT = "f0make-run-1"
_NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_STEP = 48
"""Bytes of the fixed-size line that names the current process group."""
_SLACK = 1
"""Ticks by which a start time may lie outside of the interval in which the process was started."""


class Journal:
    """One file of the journal, open for writing. Never fails: without a disk to write to it is only less exact."""

    def __init__(self, directory: str, kind: str, since: int) -> None:
        pid = os.getpid()
        about = system.facts(pid)
        header = f"{_FORMAT} {system.boot()} {since} {pid} {about[4] if about else 0}\n"
        self.path = os.path.join(directory, f"{kind}-{pid}")
        self._at = len(header)
        self._fd = -1
        try:
            self._fd = os.open(self.path, _NEW, 0o600)
            os.pwrite(self._fd, header.encode("ascii") + b"0 0 0".ljust(_STEP - 1) + b"\n", 0)
        except OSError:
            pass

    def group(self, pid: int, before: int, after: int) -> None:
        """The process group ``pid`` was started between the stamps ``before`` and ``after``."""
        if self._fd >= 0:
            try:
                os.pwrite(self._fd, (b"%d %d %d" % (pid, before, after)).ljust(_STEP - 1), self._at)
            except OSError:
                pass

    def remove(self) -> None:
        """Close and delete the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        unlink(self.path)


@dataclass(slots=True)
class Entry:
    """What one file of the journal says; 0 where it does not."""

    boot: str
    since: int
    pid: int
    stamp: int
    group: int = 0
    before: int = 0
    after: int = 0


def read(path: str) -> Entry | None:
    """Parse one file of the journal; None when it is torn or of another format."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            header, line = file.readline().split(), file.readline().split()
        if len(header) != 5 or header[0] != _FORMAT:
            return None
        entry = Entry(header[1], int(header[2]), int(header[3]), int(header[4]))
        if len(line) == 3:
            entry.group, entry.before, entry.after = int(line[0]), int(line[1]), int(line[2])
        return entry
    except (OSError, ValueError):
        return None


def kill_leftovers(workspace: str) -> int:
    """End every process that an earlier, killed run of ``workspace`` left; how many there were.

    To be called only by the holder of the workspace lock. Looks at no process when the last run ended in
    order. Never touches this process or its ancestors. Raises StateError when one cannot be ended.
    """
    directory = os.path.join(workspace, RUN)
    try:
        if os.path.islink(directory):
            return 0
        names = os.listdir(directory)
    except OSError:
        return 0
    for name in names:
        if name == os.path.basename(TRANSIT) or name.startswith(_UNFINISHED):
            from f0make.workspace.remove import remove_path

            remove_path(os.path.join(directory, name))
    files = [os.path.join(directory, n) for n in names if n.startswith(("run-", "worker-"))]
    if not files:
        return 0
    entries = [(path, read(path)) for path in files]
    own = workspace_id(workspace)
    spared = terminate.ancestors(os.getpid())
    seen: set[int] = set()

    def find() -> list[int]:
        found = [pid for pid in _leftovers(entries, own) if pid not in spared]
        seen.update(found)
        return found

    # They are in the way of a run that is about to start, and nobody will look at what they make.
    left = terminate.end(find, 0.0)
    if left:
        raise StateError(
            f"process {left[0]} of an earlier run still works in {workspace} and cannot be ended: end it yourself"
        )
    scripts = [os.path.join(directory, n) for n in names if n.startswith("script-")]
    for path in files + scripts:
        unlink(path)
    step_log.forget(_logs(directory), {entry.pid for _, entry in entries if entry is not None} - spared)
    return len(seen)


def _logs(directory: str) -> str:
    return os.path.join(os.path.dirname(directory), "logs")


def _leftovers(entries: Iterable[tuple[str, Entry | None]], own: str) -> list[int]:
    """The processes that ``entries`` (path, what it says) lead to, and that are leftovers by their own witness.

    The journal only says where to look: anybody may have written it. A worker holds its file of the journal open; of a
    step's processes one at least carries the workspace's marker or writes to a log of the workspace.
    """
    known = system.everyone()
    boot = system.boot()
    roots: set[int] = set()
    since: int | None = None
    for path, entry in entries:
        name = os.path.basename(path)
        if entry is None:
            since = 0
            continue
        if entry.boot != boot:
            continue
        since = entry.since if since is None else min(since, entry.since)
        alive = entry.pid in known and known[entry.pid][4] == entry.stamp
        if name.startswith("worker-") and alive and system.holds(entry.pid, path):
            roots.add(entry.pid)
        leader = known.get(entry.group)
        if leader is not None and entry.before - _SLACK <= leader[4] <= entry.after + _SLACK:
            group = {pid for pid, about in known.items() if entry.group in (about[2], about[3])}
            logs = _logs(os.path.realpath(os.path.dirname(path)))
            if any(system.marked(pid, VARIABLE, own) or system.writes_into(pid, logs) for pid in group):
                roots |= group
    if since is not None:
        roots.update(
            pid
            for pid, about in known.items()
            if about[4] >= since - _SLACK and system.marked(pid, VARIABLE, own)
        )
    return [*roots, *terminate.descendants(roots, known)]


def forget(directory: str, pids: Iterable[int]) -> None:
    """Remove what workers that have ended left in ``directory``: journals, and scripts of steps they died under."""
    gone = set(pids)
    own = {f"worker-{pid}" for pid in gone}
    step_log.forget(_logs(directory), gone)
    scripts = tuple(f"script-{name.removeprefix('worker-')}-" for name in own)
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        if name in own or (scripts and name.startswith(scripts)):
            unlink(os.path.join(directory, name))


def unlink(path: str) -> None:
    """Remove a file if it is there and can be removed."""
    try:
        os.unlink(path)
    except OSError:
        pass


def end_orphans(spared: set[int], own: str, since: int, sessions: set[int]) -> None:
    """Kill children of this process that a dead worker left to it, with all their descendants.

    Only those started at or after the stamp ``since`` that belong to one of ``sessions`` or to a step of the
    workspace ``own``; never ``spared`` ones (living workers).
    """
    if not system.REAPER:
        return
    me = os.getpid()
    adopted: set[int] = set()

    def find() -> list[int]:
        known = system.everyone()
        for pid, about in known.items():
            if about[1] != me or pid in spared or about[4] < since - _SLACK:
                continue
            if about[3] in sessions or system.marked(pid, VARIABLE, own):
                adopted.add(pid)
        roots = [pid for pid in adopted if pid in known and known[pid][1] == me]
        return [*roots, *terminate.descendants(roots, known)]

    terminate.end(find, 0.0)
    terminate.reap(adopted)
