"""Bringing back what a record says lay at a path, from blobs, and keeping it in blobs in the first clearing."""

from __future__ import annotations

import os
import threading

from f0make.cache.blobs import Blobs
from f0make.files import clearing, signature
from f0make.files.digest import EMPTY_DIR, FileError, blob_of
from f0make.files.signature import Signature
from f0make.lean import Protocol

SCRATCH = ".f0make/run"


class Keeps(Protocol):
    """What `keep` needs of a blob store."""

    def add(self, path: str, digest: str) -> None:
        """Store the file ``path``, which has ``digest``."""
        ...

    def add_bytes(self, data: bytes) -> str:
        """Store ``data``; its digest."""
        ...


def keep(root: str, path: str, token: str, tree: dict[str, str] | None, blobs: Keeps) -> None:
    """Store in ``blobs`` what `restore` needs for the output ``path`` with ``token`` (and ``tree``).

    Raises ContentChanged, CacheUnusable, or OSError (no space, a file that has vanished).
    """
    full = os.path.join(root, path)
    if tree is not None:
        for rel, entry in tree.items():
            _keep_one(os.path.join(full, rel), entry, blobs)
    else:
        _keep_one(full, token, blobs)


def blobs_of(token: str, tree: dict[str, str] | None) -> list[str]:
    """The digests of all blobs that `restore` needs for an output."""
    tokens = [token] if tree is None else list(tree.values())
    return [blob_of(t) for t in tokens if t != EMPTY_DIR]


def restore(
    root: str,
    path: str,
    token: str,
    tree: dict[str, str] | None,
    blobs: Blobs,
    have: dict[str, str] | None = None,
    replace: bool = False,
    sure: set[str] | None = None,
) -> dict[str, Signature]:
    """Bring the output ``path`` back: what it wrote, path -> signature (symlinks and directories left out).

    ``tree`` holds the entries when ``token`` is a directory's; with ``have`` (relative path -> token of what
    lies there now) only entries that differ are written. What is not as wanted must have been moved away
    before: without ``replace`` a file in the way raises FileError. ``sure`` receives the path if nobody can have
    changed it between the last byte and the signature, nor can without changing that. Raises BlobMissing, BlobCorrupt (a file
    appears whole or not at all; a directory that is not there yet, too), FileError, OSError (no space).
    """
    scratch = f"{root}/{SCRATCH}"
    full = f"{root}/{path}"
    if tree is None:
        try:
            written = _write_one(full, token, blobs, scratch, replace)
        except FileNotFoundError:
            # Usually the directories are there: looking for them before each file would cost more than the file.
            clearing.make_parents(root, path)
            os.makedirs(scratch, exist_ok=True)
            written = _write_one(full, token, blobs, scratch, replace)
        if token.startswith("@"):
            return {}
        st = os.lstat(full)
        if sure is not None and st.st_mtime_ns == written and signature.exact(st.st_dev):
            sure.add(path)
        return {path: signature.of(st)}
    clearing.make_parents(root, path)
    os.makedirs(scratch, exist_ok=True)
    if not os.path.lexists(full):
        stamps = _build_aside(full, tree, blobs, scratch)
    elif not os.path.isdir(full):
        raise _in_the_way(full)
    else:
        wanted = {rel: t for rel, t in tree.items() if have is None or have.get(rel) != t}
        stamps = _write_entries(full, wanted, blobs, scratch, replace)
    found = {}
    for rel, stamp in stamps.items():
        st = os.lstat(f"{full}/{rel}")
        found[f"{path}/{rel}"] = signature.of(st)
        if sure is not None and st.st_mtime_ns == stamp and signature.exact(st.st_dev):
            sure.add(f"{path}/{rel}")
    return found


def _keep_one(full: str, token: str, blobs: Keeps) -> None:
    if token.startswith("@"):
        blobs.add_bytes(os.fsencode(os.readlink(full)))
    elif token != EMPTY_DIR:
        blobs.add(full, blob_of(token))


def _build_aside(full: str, tree: dict[str, str], blobs: Blobs, scratch: str) -> dict[str, int]:
    """Make a whole directory elsewhere and move it in place at once; what `_write_entries` returns."""
    building = os.path.join(scratch, f"restore-{os.getpid()}-{threading.get_ident()}")
    clearing.remove("", building)
    try:
        os.mkdir(building)
        stamps = _write_entries(building, tree, blobs, scratch, replace=True)
        try:
            os.rename(building, full)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            # Another file system: piece by piece, each file still whole or not there.
            os.mkdir(full)
            stamps = _write_entries(full, tree, blobs, scratch, replace=False)
        return stamps
    finally:
        clearing.remove("", building)


def _write_entries(
    full: str, tree: dict[str, str], blobs: Blobs, scratch: str, replace: bool
) -> dict[str, int]:
    """Write them below ``full``; relative path of each file -> the mtime in ns of its last byte."""
    made: set[str] = set()
    stamps: dict[str, int] = {}
    for rel, token in tree.items():
        directory = rel if token == EMPTY_DIR else os.path.dirname(rel)
        if directory not in made:
            made.add(directory)
            clearing.make_parents(full, f"{directory}/x" if directory else "x")
        if token != EMPTY_DIR:
            stamp = _write_one(f"{full}/{rel}", token, blobs, scratch, replace)
            if not token.startswith("@"):
                stamps[rel] = stamp
    return stamps


def _write_one(full: str, token: str, blobs: Blobs, scratch: str, replace: bool) -> int:
    """Write a file or symlink; the mtime in ns of a file's last byte."""
    if not replace and os.path.lexists(full):
        raise _in_the_way(full)
    try:
        if not token.startswith("@"):
            return blobs.fetch(blob_of(token), full, token.endswith("x"), scratch)
        text = blobs.link_text(blob_of(token))
        unfinished = f"{full}.{os.getpid()}.tmp" if replace else full
        os.symlink(text, unfinished)
        if replace:
            os.replace(unfinished, full)
    except IsADirectoryError:
        raise _in_the_way(full) from None
    return 0


def _in_the_way(full: str) -> FileError:
    return FileError(f"{full!r} is in the way of an output that is to be restored (move it away)")
