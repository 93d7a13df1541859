"""Which instances the changes since a snapshot can reach; everything else is as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from f0make import STATE, trail
from f0make.files.content_digest import FileError
from f0make.files.sha import sha256
from f0make.incremental import eligibility
from f0make.incremental.eligibility import NeedsFullRun
from f0make.incremental.path_index import EVERYBODY, made, nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.content_cache import Contents
    from f0make.files.stat_cache import Row
    from f0make.incremental.packed_graph import Compiled

EMPTY_LISTING = ""


def touched(
    compiled: Compiled,
    changed: Iterable[str],
    appeared: Iterable[str],
    contents: Contents,
    listings: dict[str, Row],
) -> set[int]:
    """The instances that a path which has ``changed`` or ``appeared`` concerns.

    Directories that globs listed and that hold the same names go into ``listings`` with their new rows. Raises
    NeedsFullRun when the graph may be another.
    """
    found: set[int] = set(compiled.index["always_dirty"])
    for path in appeared:
        maker = compiled.index["temps"].get(path)
        if maker is None:
            raise NeedsFullRun(eligibility.APPEARED, path)
        found.add(maker)
    for path in changed:
        place = compiled.place(path)
        assert place is not None
        owners = compiled.owners[place]
        if EVERYBODY in owners:
            if not _same_for_everybody(compiled, path, place, contents, listings):
                raise NeedsFullRun(eligibility.GRAPH_INPUT, path)
            owners = [owner for owner in owners if owner != EVERYBODY]
            if not compiled.tokens[place]:
                found |= nodes(owners)
            continue
        if not made(owners) and not compiled.tokens[place] and _leads_out_anew(compiled, path, contents):
            # What a new link in an input directory leads to may be made by another step.
            raise NeedsFullRun(eligibility.NEW_LINK, path)
        try:
            token = contents.own(path)
        except FileError:
            token = ""
        if not made(owners) and (token is None or _another_kind(compiled, path, place, contents)):
            # An input that is gone is an error before anything runs; globs tell kinds apart.
            raise NeedsFullRun(eligibility.INPUT_GONE, path)
        if compiled.tokens[place][:1] == "@" and token != compiled.tokens[place] and not made(owners):
            raise NeedsFullRun(eligibility.NEW_LINK, path)  # what it leads to now may be made by another step
        if token != (compiled.tokens[place] or None):
            found |= nodes(owners)
    return found


def _another_kind(compiled: Compiled, path: str, place: int, contents: Contents) -> bool:
    """Whether ``path`` is a file where it was a link, and so on."""
    now = contents.signature(path)
    return now is None or stat.S_IFMT(now[4]) != stat.S_IFMT(compiled.signature(place)[4])


def _leads_out_anew(compiled: Compiled, path: str, contents: Contents) -> bool:
    """Whether the directory ``path`` of an input holds a link, or a directory, that it did not hold."""
    try:
        with os.scandir(contents.full(path)) as scan:
            return any(
                compiled.place(os.path.normpath(f"{path}/{entry.name}")) is None
                for entry in scan
                if entry.is_symlink() or entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return False


def _same_for_everybody(
    compiled: Compiled, path: str, place: int, contents: Contents, listings: dict[str, Row]
) -> bool:
    """Whether a path that the graph rests on says the same as before."""
    known = compiled.index["listings"].get(path)
    if known is None:
        try:
            return bool(compiled.tokens[place]) and contents.own(path) == compiled.tokens[place]
        except FileError:
            return False
    fresh = contents.listed(path)
    if fresh is None or listing(os.path.join(contents.root, path)) != known:
        return False
    listings[path] = fresh
    return True


def listing(path: str) -> str:
    """A digest of what a glob sees of the directory ``path``: names and kinds."""
    entries = []
    try:
        with os.scandir(path) as scan:
            for entry in scan:
                if entry.name == STATE:
                    continue
                directory, file, link = trail.kinds(entry)
                entries.append(b"%b\0%d" % (os.fsencode(entry.name), directory + 2 * file + 4 * link))
    except OSError:
        return EMPTY_LISTING
    return sha256(b"\n".join(sorted(entries))).hexdigest()


def reached(compiled: Compiled, first: Iterable[int]) -> set[int]:
    """``first`` and everything that needs one of them, directly or not.

    One that is skipped may be cancelled instead, when something else that it needs fails; why it is skipped
    only all skipped ones together tell.
    """
    skipped = compiled.index["skipped"]
    found = set(first)
    stack = list(found)
    while stack:
        for other in compiled.needed_by[stack.pop()]:
            if other not in found:
                found.add(other)
                stack.append(other)
    if not found.isdisjoint(skipped):
        found.update(skipped)
    return found
