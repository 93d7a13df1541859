"""Write the record log anew, without its damaged and its superseded lines."""

from __future__ import annotations

import os
from collections.abc import Iterator

from f0make.errors import StateError
from f0make.store import log_lines
from f0make.store.instance_identity import UNKNOWN, join, split
from f0make.store.journal import Journal
from f0make.store.log_index import Index
from f0make.store.validate_record import valid_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def rewrite(journal: Journal) -> None:
    """Replace the log by one that says the same in fewer lines; without space the old one stays."""
    temporary = f"{journal.path}.new"
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            file.write(
                log_lines.encode(log_lines.HEADER, {"format": log_lines.FORMAT, "id": os.urandom(8).hex()})
            )
            for line in _kept(journal):
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        journal.replace(temporary)
    except (OSError, StateError):
        try:
            os.unlink(temporary)
        except OSError:
            pass


def _kept(journal: Journal) -> Iterator[bytes]:
    """The lines of the new log: what is live in the old order, then what lies where."""
    index = journal.index
    live = {o for offsets in index.keys.values() for o in offsets[1::2]}
    live.update(entry[0] for entry in index.latest.values())
    live.update(index.trees.values())
    last: dict[str, int] = {}
    keys: dict[int, str] = {}
    outputs: set[str] = set()
    for position, block in journal.blocks():
        for offset, kind, payload in log_lines.scan(block, position):
            if not _lives(index, live, offset, kind, payload):
                continue
            if kind == "record":
                last[join(payload.get("recipe", UNKNOWN), payload["instance"])] = offset
                keys[offset] = payload["key"]
                outputs.update(payload.get("outputs") or ())
            start = offset - position
            line = block[start : block.find(b"\n", start) + 1]
            if log_lines.decode(line) is not None and valid_line(kind, payload):
                yield line
    gone = outputs.difference(index.made)
    if gone:
        yield log_lines.encode("gone", {"paths": sorted(gone)})
    places: dict[str, dict[str, str]] = {}
    for path, token in index.made.items():
        places.setdefault(index.makers.get(path, ""), {})[path] = token
    for identity, (offset, _, _) in index.latest.items():
        if offset != last.get(identity) and offset in keys:
            places.setdefault(identity, {})
    for identity, paths in places.items():
        entry = index.latest.get(identity)
        key = keys.get(entry[0], "") if entry and entry[0] != last.get(identity) else ""
        recipe, instance = split(identity)
        about = {"instance": instance, "paths": paths}
        if recipe != UNKNOWN:
            about["recipe"] = recipe
        yield log_lines.encode("made", {**about, "key": key} if key else about)


def _lives(index: Index, live: set[int], offset: int, kind: str, payload: Any) -> bool:
    """Whether a line of the old log still says something that nothing else says."""
    if kind == "record":
        return offset in live
    if kind in ("begin", "fail"):
        about = payload if isinstance(payload, dict) else {}
        identity = join(str(about.get("recipe", UNKNOWN)), str(about.get("instance")))
        if kind == "begin":
            return identity in index.begins and bool(index.begins[identity] == payload)
        return index.fails.get(identity) == offset
    return kind not in (log_lines.DAMAGED, log_lines.HEADER, "made", "gone", "forget")
