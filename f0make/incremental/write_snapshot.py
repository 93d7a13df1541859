"""A snapshot as a file: head, events, index, rows, and the pieces of the tokens (docs/design.md, "The fast way")."""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Collection, Mapping

from f0make.fast_dataclass import dataclass, field
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.incremental import packed_lists, string_table
from f0make.incremental.packed_graph import INDEX_MAGIC
from f0make.store import snapshot
from f0make.store.snapshot import CHUNK, MAGIC, PATCH, PLAIN, SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.files.stat_cache import Row
    from f0make.graph.build_graph import Graph
    from f0make.run_records import RunResults

KEPT = 16
"""Snapshots kept; each kind of request (recipe, targets, overrides) has its own."""


@dataclass(slots=True)
class Files:
    """Paths with what is known of each, sorted."""

    paths: list[str]
    signatures: list[Any]
    tokens: list[str]
    owners: list[Collection[int]] = field(default_factory=list)

    def head(self) -> dict[str, Any]:
        """What comparing them takes."""
        return {
            "paths": "\0".join(self.paths),
            "signatures": [
                marshal.dumps(self.signatures[n : n + CHUNK], PLAIN)
                for n in range(0, len(self.signatures), CHUNK)
            ],
        }

    def index(self) -> dict[str, Any]:
        """What attributing a change takes."""
        return {"owners": packed_lists.pack(self.owners)}


def place_of(workspace: str, rows: Mapping[str, Row]) -> str:
    """The real path of ``workspace`` where what ``rows`` say holds only there, else nothing.

    That is so as soon as a link is absolute, or leads out of the workspace: from another place it leads elsewhere.
    """
    for path, row in rows.items():
        if path[:1] == "/" or (
            row[0] is not None and stat.S_ISLNK(row[0][4]) and _is_absolute(workspace, path)
        ):
            return os.path.realpath(workspace)
    return ""


def _is_absolute(workspace: str, link: str) -> bool:
    try:
        return os.readlink(os.path.join(workspace, link))[:1] == "/"
    except OSError:
        return True  # gone since: nothing is known of it


def discovered_by(results: RunResults, graph: Graph, node: int) -> Collection[str]:
    """The paths that the present result of ``node`` discovered."""
    record = results.record(node)
    if record is None:
        return results.discovered.get(graph.instances[node].name, ())
    found: Collection[str] = record.get("discovered", ())
    return found


def write(
    workspace: str,
    head: dict[str, Any],
    events: bytes,
    index: dict[str, Any] | None,
    rows: list[bytes],
    tokens: list[str],
) -> None:
    """Write a snapshot; without ``index`` one that a partial run cannot start from. Raises OSError."""
    name = os.path.join(workspace, snapshot.name_of(head["request"]))
    packed, pieces = b"", list[bytes]()
    if index is not None:
        index["tokens"], pieces = string_table.pack(tokens, sum(map(len, rows)))
        packed = sealed_files.seal(INDEX_MAGIC, index)
    head["events"] = (len(events), sealed_files.mark(events))
    head["index"] = (len(events), len(packed)) if packed else None
    head["rows"] = len(events) + len(packed)
    first = sealed_files.seal(MAGIC, head)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    start = [MAGIC, len(first).to_bytes(SIZE, "big"), first]
    write_atomic(name, b"".join([*start, events, packed, *rows, *pieces]))
    try:
        os.unlink(name + PATCH)
    except FileNotFoundError:
        pass
    _prune(os.path.dirname(name))


def _prune(directory: str) -> None:
    names = [os.path.join(directory, name) for name in os.listdir(directory) if not name.endswith(PATCH)]
    if len(names) > KEPT:
        names.sort(key=os.path.getmtime)
        for name in names[: len(names) - KEPT]:
            os.unlink(name)
            if os.path.exists(name + PATCH):
                os.unlink(name + PATCH)
