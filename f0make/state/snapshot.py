"""What a request's answer rests on: every file and directory with its signature, written after a good run.

If all of them are as they were, the full way would find everything current, so that is the answer. If some
are not, their names say which instances must be decided again (`f0make.partial`). A snapshot is derived and
disposable, and what it cannot vouch for is not written into one. Reading imports nothing but built-in modules.
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

MAGIC = b"f0make snapshot 3\n"
PATCH_MAGIC = b"f0make snapshot patch 3\n"
DIRECTORY = os.path.join(".f0make", "snapshots")
PATCH = ".new"
"""What the name of a patch (few signatures that replace those of its snapshot) ends in."""

CHUNK = 512
"""Files whose signatures are compared at once, as one string of bytes: comparing and keeping a tuple for each
file would take as long as a quarter of the stats."""

WORTH_A_PROCESS = 4_000
"""Files; the stats of so many take about 10 ms, a fork one or two."""

MOST_PROCESSES = 4
"""More do not help: they meet in the locks of the kernel's directory cache."""

PLAIN = 2
"""The newest version of marshal whose bytes depend on the value alone, not on which objects are shared."""

SIZE = 8
"""Bytes of the number behind the first line: how long the part is that must be read to check the files."""

signature_of = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_mode")
"""What `files.signature.of` takes of a stat result."""

WRITER = f"{__version__} {sys.hexversion:x}"
"""Another f0make or Python may read the recipe or the code differently: its snapshots do not count."""

BUDGET = ("max_cpu", "max_mem", "max_load", "max_time", "max_energy", "max_carbon", "country")
"""A budget changes nothing when there is nothing to do, but a wrong one is refused: only the very same is known good."""

HOSTS = ("host", "hosts", "accept_new_host_keys", "connect_timeout", "lease", "reconnect")
"""The same is true of hosts; the file of `--hosts` is among the files that must be as they were."""

REQUEST = (
    *(
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
    ),
    *BUDGET,
    *HOSTS,
)
"""Fields of a request that the answer depends on."""

ENGINE = ("backend", "dask_ca", "dask_cert", "dask_key")
"""Where steps would run; no cluster is opened for nothing, but a wrong address is refused all the same."""

HARMLESS = (
    *("jobs", "keep_going", "json", "quiet", "verbose", "wait", "retries", "workspace", "energy"),
    *("strict", "audit"),
    *ENGINE,
)
"""Fields that change nothing when there is nothing to do."""


class Look:
    """A snapshot, and what is not as it says."""

    __slots__ = ("appeared", "changed", "kept", "lock", "paths")

    def __init__(
        self, kept: dict[str, Any], paths: list[str], changed: list[str], appeared: list[str]
    ) -> None:
        self.kept = kept
        self.paths = paths
        """The paths that were there, sorted."""
        self.changed = changed
        """Paths with another signature, or gone."""
        self.appeared = appeared
        """Paths that were not there."""
        self.lock = -1
        """The descriptor that holds the workspace's lock since before the look."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether the answer still stands."""
        return not (self.changed or self.appeared or self.kept["restless"])


def name_of(request: tuple[object, ...]) -> str:
    """Name of the file, inside the workspace, for ``request``."""
    import zlib

    return os.path.join(DIRECTORY, f"{zlib.crc32(repr(request).encode('utf-8', 'backslashreplace')):08x}")


def request_of(values: dict[str, Any]) -> tuple[object, ...] | None:
    """The request in what the command line gave, None when it asks for more than a snapshot can answer."""
    for field in values:
        if field not in REQUEST and field not in HARMLESS:
            return None
    there = values.get("host") or values.get("hosts")
    if there and (values.get("backend", "ssh") != "ssh" or any(values.get(field) for field in ENGINE[1:])):
        return None
    if not there and any(values.get(field) for field in ENGINE) and not _good_engine(values):
        return None
    if values.get("jobs") == "0" and not there:
        return None
    return tuple(_plain(values.get(field)) for field in REQUEST)


def _good_engine(values: dict[str, Any]) -> bool:
    from f0make.engines.address import parse

    backend, *files = (values.get(field) for field in ENGINE)
    try:
        parse(backend or "local", *files)
    except Exception:  # a UsageError, whose module is not imported for this; the full way says what is wrong
        return False
    return True


def _plain(value: object) -> object:
    if not value:
        return None
    return tuple(value) if isinstance(value, list) else value


def look(request: tuple[object, ...], workspace: str = "") -> Look | None:
    """Compare the snapshot for ``request`` with the files in ``workspace`` (default: the current directory).

    None when there is no snapshot that counts. Everything asked for is relative to the current directory,
    which must be the workspace or ``workspace`` with a slash at its end.
    """
    kept = _read(workspace + name_of(request))
    if kept is None or kept["writer"] != WRITER or kept["request"] != request:
        return None
    appeared = [path for path in kept["absent"] if os.path.lexists(workspace + path)]
    paths = kept["paths"].split("\0") if kept["paths"] else []
    full = paths
    if workspace:
        full = [path if path[:1] == "/" else workspace + path for path in paths]
    return Look(kept, paths, [paths[n] for n in _changed(full, kept["signatures"])], appeared)


def events_of(kept: dict[str, Any], workspace: str = "") -> str | None:
    """The lines of all `step` events of the snapshot ``kept``; None when it is not as it was written."""
    import zlib

    size, crc = kept["events"]
    text = read_part(kept, 0, size, workspace)
    return text.decode("ascii") if zlib.crc32(text) == crc else None


def read_part(kept: dict[str, Any], offset: int, size: int, workspace: str = "") -> bytes:
    """``size`` bytes from ``offset`` behind the head of the snapshot ``kept``. Raises OSError."""
    with FileIO(workspace + name_of(kept["request"]), "rb") as file:
        return os.pread(file.fileno(), size, kept["body"] + offset)


def _read(name: str) -> Any:
    """The first part of a snapshot, which is all that comparing takes, with its patch applied."""
    try:
        with FileIO(name, "rb") as file:
            head = file.read(len(MAGIC) + SIZE)
            size = int.from_bytes(head[len(MAGIC) :], "big")
            if not head.startswith(MAGIC) or size > os.fstat(file.fileno()).st_size:
                return None
            kept = sealed.unseal(MAGIC, file.read(size))
    except OSError:
        return None
    if kept is None:
        return None
    kept["body"] = len(MAGIC) + SIZE + size
    kept["patch"] = {"chunks": {}, "tokens": {}, "saved": {}}
    data = sealed.read(name + PATCH)
    patch = sealed.unseal(PATCH_MAGIC, data) if data else None
    if patch is not None and patch["id"] == kept["id"]:
        kept["patch"] = patch
        kept["saved"] = patch["sum"]
        for number, chunk in patch["chunks"].items():
            kept["signatures"][number] = chunk
    return kept


def digest(paths: list[str]) -> bytes:
    """The signatures of ``paths`` now, as bytes that are compared at once. Raises OSError, ValueError."""
    return marshal.dumps(list(map(signature_of, map(os.lstat, paths))), PLAIN)


def _changed(paths: list[str], signatures: list[bytes]) -> list[int]:
    """Places of the ``paths`` that have other signatures; many are shared with other processes."""
    share = min(len(paths) // WORTH_A_PROCESS, MOST_PROCESSES)
    if share > 1 and hasattr(os, "sched_getaffinity") and _alone():
        share = min(share, len(os.sched_getaffinity(0)))
        if share > 1:
            return _shared(paths, signatures, share)
    return _singly(paths, signatures, _different(paths, signatures, range(len(signatures))))


def _different(paths: list[str], signatures: list[bytes], chunks: range) -> list[int]:
    """Which of ``chunks`` are not as they were."""
    found = []
    for n in chunks:
        try:
            if digest(paths[n * CHUNK : (n + 1) * CHUNK]) == signatures[n]:
                continue
        except (OSError, ValueError):
            pass
        found.append(n)
    return found


def _singly(paths: list[str], signatures: list[bytes], chunks: list[int]) -> list[int]:
    """Places of the paths in ``chunks`` that are not as they were."""
    found = []
    for number in chunks:
        first = number * CHUNK
        for place, old in enumerate(marshal.loads(signatures[number]), first):
            try:
                if signature_of(os.lstat(paths[place])) == old:
                    continue
            except (OSError, ValueError):
                pass
            found.append(place)
    return found


def _alone() -> bool:
    """Whether this process has a single thread, so that a fork is safe."""
    threading = sys.modules.get("threading")
    return threading is None or threading.active_count() == 1


def _shared(paths: list[str], signatures: list[bytes], share: int) -> list[int]:
    """`_changed`, every process looking at each ``share``-th chunk; a child reports by a byte for each of its own."""
    children = []
    found: list[int] = []
    try:
        for first in range(1, share):
            reader, writer = os.pipe()
            pid = os.fork()
            if not pid:
                code = 1
                try:
                    chunks = range(first, len(signatures), share)
                    different = set(_different(paths, signatures, chunks))
                    os.write(writer, bytes(n in different for n in chunks))
                    code = 0
                finally:
                    os._exit(code)
            os.close(writer)
            children.append((pid, reader, range(first, len(signatures), share)))
        found += _different(paths, signatures, range(0, len(signatures), share))
    finally:
        for pid, reader, chunks in children:
            said = os.read(reader, len(chunks) + 1)
            os.close(reader)
            os.waitpid(pid, 0)
            # One that did not get to its end has said nothing: all of its chunks are looked at again.
            found += [n for at, n in enumerate(chunks) if at >= len(said) or said[at]]
    return _singly(paths, signatures, sorted(found))
