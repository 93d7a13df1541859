"""What a request's answer rests on: every file and directory with its signature, written after a good run.

If all of them are as they were, the full way would find everything current, so that is the answer. If some
are not, their names say which instances must be decided again (`f0make.incremental`). A snapshot is derived and
disposable, and what it cannot vouch for is not written into one. Reading imports nothing but built-in modules.
"""

from __future__ import annotations

import os
import sys
from io import FileIO

from f0make import STATE, __version__
from f0make.command_table import ANSWER, HARMLESS, OPTIONS
from f0make.files import sealed_files
from f0make.store.signature_check import CHUNK as CHUNK
from f0make.store.signature_check import PLAIN as PLAIN
from f0make.store.signature_check import Comparison

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.options import RunOptions

MAGIC = b"f0make snapshot 6\n"
PATCH_MAGIC = b"f0make snapshot patch 6\n"
DIRECTORY = os.path.join(STATE, "snapshots")
PATCH = ".new"
"""What the name of a patch (few signatures that replace those of its snapshot) ends in."""

SIZE = 8
"""Bytes of the number behind the first line: how long the part is that must be read to check the files."""

WRITER = f"{__version__} {sys.hexversion:x}"
"""Another f0make or Python may read the recipe or the code differently: its snapshots do not count."""

ARGUMENTS = ("recipe", "targets")
ANSWERING = tuple(field for field, option in OPTIONS.items() if option.request == ANSWER)
"""Options that the answer depends on. A budget or a host changes nothing when there is nothing to do, but a wrong one is
refused: only the very same is known good. The file of `--hosts` is among the files that must be as they were."""

_CLUSTER = tuple(field for field, option in OPTIONS.items() if option.value == "cluster")
"""Where steps would run; no cluster is opened for nothing, but a wrong address is refused all the same."""


class Look:
    """A snapshot, and what is not as it says."""

    __slots__ = ("_changed", "_comparison", "appeared", "kept", "lock", "paths")

    def __init__(
        self, kept: dict[str, Any], paths: list[str], comparison: Comparison, appeared: list[str]
    ) -> None:
        self.kept = kept
        self.paths = paths
        """The paths that were there, sorted."""
        self._comparison = comparison
        self._changed: list[str] | None = None
        self.appeared = appeared
        """Paths that were not there."""
        self.lock = -1
        """The descriptor that holds the workspace's lock since before the look."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether the answer still stands."""
        return not (self._comparison.different or self.appeared or self.kept["always_dirty"])

    @property
    def changed(self) -> list[str]:
        """Paths with another signature, or gone; to be asked for in the directory that was looked at."""
        if self._changed is None:
            self._changed = [self.paths[n] for n in self._comparison.places()]
        return self._changed

    @property
    def unfinished(self) -> bool:
        """Whether `changed` would have to be waited for, so that there is time for something else."""
        return self._comparison.waits


def name_of(request: tuple[object, ...]) -> str:
    """Name of the file, inside the workspace, for ``request``."""
    text = repr(request).encode("utf-8", "backslashreplace")
    return os.path.join(DIRECTORY, sealed_files.blake2b(text, digest_size=8).hexdigest())


def request_of(values: dict[str, Any]) -> tuple[object, ...] | None:
    """The request in what the command line gave, None when it asks for more than a snapshot can answer."""
    for field in values:
        if field not in ARGUMENTS and OPTIONS[field].request not in (ANSWER, HARMLESS):
            return None
    there = values.get("host") or values.get("hosts")
    if there and (values.get("backend", "ssh") != "ssh" or any(values.get(field) for field in _CLUSTER[1:])):
        return None
    if not there and any(values.get(field) for field in _CLUSTER) and not _good_engine(values):
        return None
    if values.get("jobs") == "0" and not there:
        return None
    return tuple(_plain(values.get(field)) for field in (*ARGUMENTS, *ANSWERING))


def request_of_run(options: RunOptions, recipe_path: str, targets: list[str]) -> tuple[object, ...] | None:
    """The same for a run with ``options`` of ``targets`` in a recipe, however it was asked for."""
    values = {field: options.value(field) for field in ANSWERING}
    return request_of({"recipe": recipe_path, "targets": targets, **values})


def _good_engine(values: dict[str, Any]) -> bool:
    from f0make.backend_address import parse

    backend, *files = (values.get(field) for field in _CLUSTER)
    try:
        parse(backend or "local", *files)
    except Exception:  # a UsageError, whose module is not imported for this; the full way says what is wrong
        return False
    return True


def _plain(value: object) -> object:
    if not value:
        return None
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, bool) else str(value)


def look(request: tuple[object, ...], workspace: str = "") -> Look | None:
    """Compare the snapshot for ``request`` with the files in ``workspace`` (default: the current directory).

    None when there is no snapshot that counts. Everything asked for is relative to the current directory,
    which must be the workspace or ``workspace`` with a slash at its end.
    """
    kept = _read(workspace + name_of(request))
    if kept is None or kept["writer"] != WRITER or kept["request"] != request:
        return None
    if kept["place"] and kept["place"] != os.path.realpath(workspace or "."):
        return None  # links lead elsewhere from here
    appeared = [p for p in kept["absent"] if os.path.lexists(p if p[:1] == "/" else workspace + p)]
    paths = kept["paths"].split("\0") if kept["paths"] else []
    full = paths
    if workspace:
        full = [path if path[:1] == "/" else workspace + path for path in paths]
    return Look(kept, paths, Comparison(full, kept["signatures"]), appeared)


def events_of(kept: dict[str, Any], workspace: str = "") -> str | None:
    """The lines of all `step` events of the snapshot ``kept``; None when it is not as it was written."""
    size, mark = kept["events"]
    text = read_part(kept, 0, size, workspace)
    return text.decode("ascii") if sealed_files.mark(text) == mark else None


def read_part(kept: dict[str, Any], offset: int, size: int, workspace: str = "") -> bytes:
    """``size`` bytes from ``offset`` behind the head of the snapshot ``kept``. Raises OSError."""
    with FileIO(sealed_files.open_regular(workspace + name_of(kept["request"])), "rb") as file:
        return os.pread(file.fileno(), size, kept["body"] + offset)


def _read(name: str) -> Any:
    """The first part of a snapshot, which is all that comparing takes, with its patch applied."""
    try:
        with FileIO(sealed_files.open_regular(name), "rb") as file:
            head = file.read(len(MAGIC) + SIZE)
            size = int.from_bytes(head[len(MAGIC) :], "big")
            if not head.startswith(MAGIC) or size > os.fstat(file.fileno()).st_size:
                return None
            kept = sealed_files.unseal(MAGIC, file.read(size))
    except OSError:
        return None
    if kept is None:
        return None
    kept["body"] = len(MAGIC) + SIZE + size
    kept["patch"] = {"chunks": {}, "tokens": {}, "saved": {}}
    data = sealed_files.read(name + PATCH)
    patch = sealed_files.unseal(PATCH_MAGIC, data) if data else None
    if patch is not None and patch["id"] == kept["id"]:
        kept["patch"] = patch
        kept["saved"] = patch["sum"]
        for number, chunk in patch["chunks"].items():
            kept["signatures"][number] = chunk
    return kept
