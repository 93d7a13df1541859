"""What must hold for "nothing to do": written after a good run, checked by the next one before anything else.

A snapshot is derived and disposable. It names every file and directory that the answer rests on, with its
stat signature; if all of them are as they were, the full way would find everything current, so its answer is
given at once. Whatever a snapshot cannot vouch for (a racy file, a fingerprint command, a step that always
runs) is not written into one. Checking imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import sys

from f0make import __version__
from f0make.state import sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.engine.run import Run
    from f0make.options import RunOptions
    from f0make.session import Session

MAGIC = b"f0make snapshot 1\n"
DIRECTORY = os.path.join(".f0make", "snapshots")
KEPT = 16
"""Snapshots kept; each kind of request (recipe, targets, overrides) has its own."""

WRITER = f"{__version__} {sys.hexversion:x}"
"""Another f0make or Python may read the recipe or the code differently: its snapshots do not count."""

REQUEST = ("recipe", "targets", "set", "config", "only", "skip", "resource", "cache", "no_cache")
"""Fields of a request that the answer depends on."""

HARMLESS = ("jobs", "keep_going", "json", "quiet", "wait", "retries", "workspace", "backend")
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
    data = sealed.read(name_of(request))
    kept = sealed.unseal(MAGIC, data) if data else None
    if kept is None or kept["writer"] != WRITER or kept["request"] != request:
        return None
    lstat = os.lstat
    try:
        for path, signature in kept["present"]:
            st = lstat(path)
            if (st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode) != signature:
                return None
    except OSError:
        return None
    for path in kept["absent"]:
        if os.path.lexists(path):
            return None
    found: dict[str, Any] = kept
    return found


def keep(session: Session, run: Run, options: RunOptions, recipe_path: str, targets: list[str]) -> bool:
    """Write the snapshot of a run that left everything current; False when nothing can vouch for it.

    Raises OSError when it cannot be written.
    """
    instances = [run.graph.instances[n] for n in sorted(run.wanted) if n < len(run.graph.instances)]
    if any(i.fingerprint or i.always for i in instances) or options.force or options.only or options.skip or options.rehash:
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
        **{name: getattr(options, name) for name in ("set", "config", "only", "skip", "cache", "no_cache")},
        "resource": [],
    }
    request = tuple(_plain(values.get(field)) for field in REQUEST)
    present = [(path.removeprefix(root), row[0]) for path, row in rows.items() if row[0] and path not in gone]
    sealed_bytes = sealed.seal(
        MAGIC,
        {
            "writer": WRITER,
            "request": request,
            "present": sorted(present),
            "absent": sorted(p for p, row in rows.items() if row[0] is None and p not in gone),
            "counts": counts,
            "events": "\n".join(lines),
            "recipe": recipe_path,
        },
    )
    name = os.path.join(session.workspace, name_of(request))
    os.makedirs(os.path.dirname(name), exist_ok=True)
    sealed.write_atomic(name, sealed_bytes)
    _prune(os.path.dirname(name))
    return True


def _prune(directory: str) -> None:
    names = [os.path.join(directory, name) for name in os.listdir(directory)]
    if len(names) > KEPT:
        names.sort(key=os.path.getmtime)
        for name in names[: len(names) - KEPT]:
            os.unlink(name)
