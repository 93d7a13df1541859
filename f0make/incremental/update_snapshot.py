"""Bringing a snapshot up to date after a run over a part: few signatures as a patch, many as a new file."""

from __future__ import annotations

import marshal
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from f0make.fast_dataclass import dataclass
from f0make.files import sealed_files
from f0make.files.atomic_write import write_atomic
from f0make.incremental.affected import listing
from f0make.incremental.path_index import EVERYBODY, direct, owners_of
from f0make.incremental.write_snapshot import Files, discovered_by, place_of, write
from f0make.store import snapshot
from f0make.store.snapshot import CHUNK, PATCH, PATCH_MAGIC, PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.files.content_cache import Contents
    from f0make.files.stat_cache import Row
    from f0make.graph.build_graph import Graph
    from f0make.incremental.packed_graph import Compiled
    from f0make.run_records import RunResults, Settled
    from f0make.store.record_store import Store
    from f0make.store.snapshot import Look

WORTH_A_FILE = 32
"""Chunks of signatures in a patch, from which the whole snapshot is written again: every look reads the patch."""


@dataclass(slots=True)
class Part:
    """What a run over a part had of the snapshot that it began from, and what it decided."""

    compiled: Compiled
    look: Look
    store: Store
    contents: Contents
    listings: dict[str, Row]
    """Directories that globs listed and that hold the same names with another stamp."""
    graph: Graph
    numbers: list[int]
    """Those of the instances of ``graph`` in the whole."""
    settled: Settled

    @property
    def workspace(self) -> str:
        """Absolute path."""
        return self.contents.root


def renew(part: Part, results: RunResults) -> bool:
    """Write what the run with ``results`` left, all of it well; False when something is not sure (the old snapshot then stays).

    Raises OSError when it cannot be written.
    """
    if not sealed_files.possible():
        return False
    compiled = part.compiled
    rows = _rows(part)
    if rows is None or any(row[2] for row in rows.values()) or _wavers(part, rows):
        return False
    saved = _saved(part)
    restamped = _note_stamps(part, results, rows)
    gone = [place for path, row in rows.items() if not row[0] and (place := compiled.place(path)) is not None]
    new = [path for path, row in rows.items() if row[0] and compiled.place(path) is None]
    if gone or new or (place_of(part.workspace, rows) and not compiled.kept["place"]):
        _rewrite(part, results, rows, saved)
        return True
    for path, row in rows.items():
        if not row[0] and path not in compiled.absent:
            _rewrite(part, results, rows, saved)
            return True
    chunks: set[int] = set()
    tokens: dict[int, str] = {}
    for path, row in rows.items():
        place = compiled.place(path)
        if place is None:
            continue
        number, at = divmod(place, CHUNK)
        chunk = compiled.chunk(number)
        if chunk[at] != row[0]:
            chunk[at] = row[0]
            chunks.add(number)
        if compiled.tokens[place] != (row[1] or ""):
            compiled.tokens[place] = tokens[place] = row[1] or ""
    if not chunks and not tokens:
        return True
    packed = {number: marshal.dumps(compiled.chunk(number), PLAIN) for number in chunks}
    patch = compiled.patch
    packed = {**patch["chunks"], **packed}
    if len(packed) > WORTH_A_FILE or restamped:
        _resign(part, packed, saved)
    else:
        spared = {**patch["saved"], **saved}
        value = {
            "id": compiled.kept["id"],
            "chunks": packed,
            "tokens": {**patch["tokens"], **tokens},
            "saved": spared,
            "sum": _sum(part, saved),
        }
        name = os.path.join(part.workspace, snapshot.name_of(compiled.kept["request"]))
        write_atomic(name + PATCH, sealed_files.seal(PATCH_MAGIC, value))
    return True


def _note_stamps(part: Part, results: RunResults, rows: dict[str, Row]) -> bool:
    """Note the outputs that somebody has given another time or other rights; whether there is a new one.

    Such an output comes back as its record says, not as it was seen. What this run has made or put back is so.
    """
    compiled = part.compiled
    found = False
    for path, row in rows.items():
        place = compiled.place(path)
        if row[0] is None or place is None or compiled.signature(place) == row[0]:
            continue
        for owner in compiled.owners[place]:
            made = owner & 1 and owner != EVERYBODY and compiled.plain[owner >> 1]
            if made and compiled.names[owner >> 1] not in results.changed:
                compiled.plain[owner >> 1] = 0
                found = True
    return found


def _rows(part: Part) -> dict[str, Row] | None:
    """What is known now of every path that this run or a change has touched."""
    contents, compiled = part.contents, part.compiled
    for instance in part.graph.instances:
        for path in instance.inputs:
            if path not in contents.asked:
                contents.token(path)
        for output in instance.outputs:
            if output.path not in contents.asked:
                contents.own(output.path)
    rows = contents.rows()
    root = part.workspace.rstrip("/") + "/"
    rows = {path.removeprefix(root): row for path, row in rows.items()}
    rows.update(part.listings)
    for path, known in compiled.index["listings"].items():
        place = compiled.place(path)
        if place is None:
            return None
        kept = rows[path] if path in rows else compiled.row(path)
        if kept is None or contents.signature(path) != kept[0]:
            fresh = contents.listed(path)
            if fresh is None or listing(os.path.join(contents.root, path)) != known:
                return None
            rows[path] = fresh
    for path in (*part.look.changed, *part.look.appeared, *_below(part)):
        if path not in rows and compiled.place(path) is not None:
            if os.path.lexists(os.path.join(contents.root, path)):
                if path in part.look.changed:
                    return None
            else:
                rows[path] = (None, None, False)
    return rows


def _wavers(part: Part, rows: dict[str, Row]) -> bool:
    """Whether something changed during the run that instances outside of the part, or earlier in it, rest on."""
    if part.contents.wavering:
        return True
    compiled = part.compiled
    made = {output.path for instance in part.graph.instances for output in instance.outputs}
    made.update(_below(part))
    expected = {*part.look.changed, *made}
    for path, row in rows.items():
        place = compiled.place(path)
        if place is None or path in expected or row[1] is None:
            continue
        if compiled.tokens[place] != row[1]:
            return True
    return False


def _below(part: Part) -> Iterator[str]:
    """The paths of the snapshot that lie in the directories of these instances."""
    paths = part.compiled.paths
    for instance in part.graph.instances:
        for directory in (o.path for o in instance.outputs if o.directory):
            at = bisect_left(paths, directory + "/")
            while at < len(paths) and paths[at].startswith(directory + "/"):
                yield paths[at]
                at += 1


def _saved(part: Part) -> dict[int, tuple[float, float]]:
    """What the last run of each of the instances took."""
    found = {}
    for number, instance in zip(part.numbers, part.graph.instances, strict=True):
        found[number] = part.store.spared(instance.name)
    return found


def _sum(part: Part, saved: dict[int, tuple[float, float]]) -> tuple[float, float]:
    return (
        round(part.settled.saved_seconds + sum(s for s, _ in saved.values()), 6),
        part.settled.saved_energy + sum(e for _, e in saved.values()),
    )


def _base(part: Part, saved: dict[int, tuple[float, float]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Head and index of the next snapshot, as far as they do not tell of files."""
    compiled = part.compiled
    seconds, energy = array("d"), array("d")
    seconds.frombytes(compiled.index["seconds"])
    energy.frombytes(compiled.index["energy"])
    for number, (s, e) in {**compiled.patch["saved"], **saved}.items():
        seconds[number], energy[number] = s, e
    index = {**compiled.index, "seconds": seconds.tobytes(), "energy": energy.tobytes()}
    index["log"] = part.store.mark()
    index["plain"] = bytes(compiled.plain)
    head = {name: value for name, value in compiled.kept.items() if name not in ("body", "patch")}
    head["id"] = os.urandom(8)
    head["saved"] = _sum(part, saved)
    return head, index


def _put(part: Part, head: dict[str, Any], index: dict[str, Any], tokens: list[str]) -> None:
    compiled = part.compiled
    size, _ = compiled.kept["events"]
    events = snapshot.read_part(compiled.kept, 0, size, compiled.workspace)
    write(part.workspace, head, events, index, [compiled.rows()], tokens)


def _resign(part: Part, chunks: dict[int, bytes], saved: dict[int, tuple[float, float]]) -> None:
    """The same paths with many other signatures."""
    head, index = _base(part, saved)
    signatures = list(head["signatures"])
    for number, chunk in chunks.items():
        signatures[number] = chunk
    head["signatures"] = signatures
    _put(part, head, index, part.compiled.tokens.whole())


def _rewrite(
    part: Part, results: RunResults, rows: dict[str, Row], saved: dict[int, tuple[float, float]]
) -> None:
    """Other paths than before."""
    compiled = part.compiled
    head, index = _base(part, saved)
    discovered = {number: discovered_by(results, part.graph, n) for n, number in enumerate(part.numbers)}
    known = direct(zip(part.numbers, part.graph.instances, strict=True), discovered, part.contents.via)
    merged: dict[str, tuple[Any, str, Any]] = {}
    for place, path in enumerate(compiled.paths):
        number, at = divmod(place, CHUNK)
        merged[path] = (compiled.chunk(number)[at], compiled.tokens[place], compiled.owners[place])
    absent = set(compiled.absent)
    for (path, row), named in zip(rows.items(), owners_of(rows, known), strict=True):
        if row[0] is None:
            merged.pop(path, None)
            absent.add(path)
            continue
        absent.discard(path)
        before = merged.get(path)
        owners = {*before[2], *named} if before else named
        merged[path] = (row[0], row[1] or "", owners or {EVERYBODY})
    paths = sorted(merged)
    files = Files(
        paths, [merged[p][0] for p in paths], [merged[p][1] for p in paths], [merged[p][2] for p in paths]
    )
    head.update(files.head())
    head["place"] = compiled.kept["place"] or place_of(part.workspace, rows)
    head["absent"] = sorted(absent)
    index.update(files.index())
    _put(part, head, index, files.tokens)
