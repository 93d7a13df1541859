"""What must hold for "nothing to do": written after a good run, checked by the next one before anything else.

A snapshot is derived and disposable. It names every file and directory that the answer rests on, with its
stat signature; if all of them are as they were, the full way would find everything current, so its answer is
given at once. Whatever a snapshot cannot vouch for (a racy file, a fingerprint command, a step that always
runs) is not written into one. Checking imports nothing but built-in modules.
"""

from __future__ import annotations

import marshal
import os
import sys
from _operator import attrgetter
from io import FileIO

from f0make import __version__
from f0make.state import sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.engine.run import Run
    from f0make.model import Instance
    from f0make.options import RunOptions
    from f0make.session import Session

MAGIC = b"f0make snapshot 2\n"
DIRECTORY = os.path.join(".f0make", "snapshots")
KEPT = 16
"""Snapshots kept; each kind of request (recipe, targets, overrides) has its own."""

CHUNK = 512
"""Files whose signatures are compared at once, as one string of bytes: comparing and keeping a tuple for each
file would take as long as a quarter of the stats."""

WORTH_A_PROCESS = 4_000
"""Files; the stats of so many take about 10 ms, a fork one or two."""

MOST_PROCESSES = 4
"""More do not help: they meet in the locks of the kernel's directory cache."""

_PLAIN = 2
"""The newest version of marshal whose bytes depend on the value alone, not on which objects are shared."""

_SIZE = 8
"""Bytes of the number behind the first line: how long the part is that must be read to check the files."""

_signature = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_mode")
"""What `files.signature.of` takes of a stat result."""

WRITER = f"{__version__} {sys.hexversion:x}"
"""Another f0make or Python may read the recipe or the code differently: its snapshots do not count."""

BUDGET = ("max_cpu", "max_mem", "max_load", "max_time", "max_energy", "max_carbon", "country")
"""A budget changes nothing when there is nothing to do, but a wrong one is refused: only the very same is known good."""

REQUEST = (
    "recipe",
    "targets",
    "set",
    "config",
    "only",
    "skip",
    "resource",
    "cache",
    "cache_readonly",
    "no_cache",
    *BUDGET,
)
"""Fields of a request that the answer depends on."""

HARMLESS = (
    "jobs",
    "keep_going",
    "json",
    "quiet",
    "wait",
    "retries",
    "workspace",
    "backend",
    "energy",
    "cache_readonly",
)
"""Fields that change nothing when there is nothing to do."""


def name_of(request: tuple[object, ...]) -> str:
    """Name of the file, inside the workspace, for ``request``."""
    import zlib

    return os.path.join(DIRECTORY, f"{zlib.crc32(repr(request).encode('utf-8', 'backslashreplace')):08x}")


def request_of(values: dict[str, Any]) -> tuple[object, ...] | None:
    """The request in what the command line gave, None when it asks for more than a snapshot can answer."""
    for field in values:
        if field not in REQUEST and field not in HARMLESS:
            return None
    if values.get("backend", "local") != "local":
        return None
    return tuple(_plain(values.get(field)) for field in REQUEST)


def _plain(value: object) -> object:
    if not value:
        return None
    return tuple(value) if isinstance(value, list) else value


def check(request: tuple[object, ...]) -> dict[str, Any] | None:
    """The snapshot for ``request`` in the current directory if every file is as it says, else None."""
    kept = _read(name_of(request))
    if kept is None or kept["writer"] != WRITER or kept["request"] != request:
        return None
    for path in kept["absent"]:
        if os.path.lexists(path):
            return None
    found: dict[str, Any] = kept
    return found if _unchanged(kept["paths"].split("\0"), kept["signatures"]) else None


def events_of(kept: dict[str, Any]) -> str | None:
    """The lines of all `step` events of the snapshot ``kept``; None when it is not as it was written."""
    import zlib

    with FileIO(name_of(kept["request"]), "rb") as file:
        data = file.readall()
    text = data[len(data) - kept["events_size"] :]
    return text.decode("ascii") if zlib.crc32(text) == kept["events_crc"] else None


def _read(name: str) -> Any:
    """The first part of a snapshot: everything but the events, which few ask for."""
    try:
        with FileIO(name, "rb") as file:
            head = file.read(len(MAGIC) + _SIZE)
            size = int.from_bytes(head[len(MAGIC) :], "big")
            if not head.startswith(MAGIC) or size > os.fstat(file.fileno()).st_size:
                return None
            data = file.read(size)
    except OSError:
        return None
    return sealed.unseal(MAGIC, data)


def _digest(paths: list[str]) -> bytes:
    """The signatures of ``paths`` now, as bytes that are compared at once. Raises OSError, ValueError."""
    return marshal.dumps(list(map(_signature, map(os.lstat, paths))), _PLAIN)


def _unchanged(paths: list[str], signatures: list[bytes]) -> bool:
    """Whether every chunk of ``paths`` has the signatures it had; large ones are shared with other processes."""
    chunks = range(len(signatures))
    share = min(len(paths) // WORTH_A_PROCESS, MOST_PROCESSES)
    if share > 1 and hasattr(os, "sched_getaffinity") and _alone():
        share = min(share, len(os.sched_getaffinity(0)))
        if share > 1:
            return _shared(paths, signatures, share)
    return _same(paths, signatures, chunks)


def _same(paths: list[str], signatures: list[bytes], chunks: range) -> bool:
    try:
        return all(_digest(paths[n * CHUNK : (n + 1) * CHUNK]) == signatures[n] for n in chunks)
    except (OSError, ValueError):
        return False


def _alone() -> bool:
    """Whether this process has a single thread, so that a fork is safe."""
    threading = sys.modules.get("threading")
    return threading is None or threading.active_count() == 1


def _shared(paths: list[str], signatures: list[bytes], share: int) -> bool:
    """`_same`, every process looking at each ``share``-th chunk."""
    pids = []
    same = True
    try:
        for first in range(1, share):
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    code = 0 if _same(paths, signatures, range(first, len(signatures), share)) else 1
                finally:
                    os._exit(code)
            pids.append(pid)
        same = _same(paths, signatures, range(0, len(signatures), share))
    except OSError:
        same = False
    finally:
        for pid in pids:
            same = os.waitpid(pid, 0)[1] == 0 and same
    return same


def keep(session: Session, run: Run, options: RunOptions, recipe_path: str, targets: list[str]) -> bool:
    """Write the snapshot of a run that left everything current; False when nothing can vouch for it.

    Raises OSError when it cannot be written.
    """
    instances = [run.graph.instances[n] for n in sorted(run.progress.wanted) if run.progress.is_instance(n)]
    if (
        any(i.fingerprint or i.always for i in instances)
        or options.force
        or options.only
        or options.skip
        or options.rehash
    ):
        return False
    contents = session.contents
    asked = contents.rows()
    paths = session.watched_files.union(*(i.inputs for i in instances))
    paths.update(o.path for i in instances for o in i.outputs)
    for path in paths:
        if path not in asked:
            contents.token(path)
    rows = contents.rows()
    rows.update(session.directory_rows)
    if any(row[2] for row in rows.values()):
        return False
    if any(contents.signature(path) != row[0] for path, row in session.directory_rows.items()):
        return False
    root = session.workspace.rstrip("/") + "/"
    gone = {o.path for i in instances for o in i.outputs if o.temp}
    counts = {"current": len(instances), "skipped": 0}
    lines = []
    from json import dumps
    from zlib import crc32

    for instance in instances:
        skipped = run.steps.get(instance.name) == "skipped"
        counts["skipped" if skipped else "current"] += skipped
        counts["current"] -= skipped
        status, reason = ("skipped", "when") if skipped else ("current", "up to date")
        event = {"event": "step", "step": instance.name, "status": status, "reason": reason, "seconds": 0}
        lines.append(dumps(event))
    values = {
        "recipe": recipe_path,
        "targets": targets if targets != session.recipe.targets else [],
        **{
            name: getattr(options, name)
            for name in ("set", "config", "only", "skip", "cache", "cache_readonly", "no_cache", *BUDGET)
        },
        "resource": [],
    }
    request = tuple(_plain(values.get(field)) for field in REQUEST)
    present = sorted(
        (path.removeprefix(root), row[0]) for path, row in rows.items() if row[0] and path not in gone
    )
    events = "\n".join(lines).encode("ascii")
    head = sealed.seal(
        MAGIC,
        {
            "writer": WRITER,
            "request": request,
            "paths": "\0".join(path for path, _ in present),
            "signatures": [
                marshal.dumps([signature for _, signature in present[n : n + CHUNK]], _PLAIN)
                for n in range(0, len(present), CHUNK)
            ],
            "absent": sorted(p for p, row in rows.items() if row[0] is None and p not in gone),
            "counts": counts,
            "events_size": len(events),
            "events_crc": crc32(events),
            "saved": _saved(session, instances),
            "recipe": recipe_path,
        },
    )
    name = os.path.join(session.workspace, name_of(request))
    os.makedirs(os.path.dirname(name), exist_ok=True)
    sealed.write_atomic(name, MAGIC + len(head).to_bytes(_SIZE, "big") + head + events)
    _prune(os.path.dirname(name))
    return True


def _saved(session: Session, instances: list[Instance]) -> tuple[float, float]:
    """(seconds, kWh) that the last runs of ``instances`` took."""
    found = [stats for i in instances if (stats := session.store.stats(i.name)) is not None]
    return round(sum(s.seconds for s in found), 6), sum(s.energy_kwh or 0.0 for s in found)


def _prune(directory: str) -> None:
    names = [os.path.join(directory, name) for name in os.listdir(directory)]
    if len(names) > KEPT:
        names.sort(key=os.path.getmtime)
        for name in names[: len(names) - KEPT]:
            os.unlink(name)
