"""After a command succeeded: read its depfile, check its outputs, hash them and keep them in the blob store."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from f0make.cache.blob_files import CacheUnusable
from f0make.cache.blobs import BlobError, Blobs
from f0make.errors import NO_ROOM, F0makeError
from f0make.files import content_digest
from f0make.files.times_and_modes import noted
from f0make.regular_file import DEPFILE, read_regular
from f0make.worker.bundle import Bundle, Outcome
from f0make.workspace import umask

Kept = dict[str, tuple[str, "bytes | None", int]]
"""Path of a file to be stored -> its token, its bytes where they are at hand (small single files), and its mode."""


class Unfit(Exception):
    """What the command left is not what was declared; the text is the outcome's message."""


class Collector:
    """Turns what commands left into outcomes; keeps the blob stores it has opened."""

    def __init__(self, open_store: Callable[[str], Blobs] = Blobs) -> None:
        self._open = open_store
        self._stores: dict[str, Blobs] = {}
        self._umask = umask.current()

    def collect(self, bundle: Bundle, outcome: Outcome) -> None:
        """Fill ``outcome`` with what ``bundle``'s command made; turn it into a failure when that is not right."""
        try:
            if bundle.depfile is not None:
                outcome.discovered = _depfile(bundle, bundle.depfile)
            blobs: Kept = {}
            texts: dict[str, str] = {}
            for path, directory in bundle.outputs:
                _one(bundle, path, directory, outcome, blobs, texts, self._umask)
            if bundle.store is not None:
                self._store(bundle.store, blobs, texts, outcome)
        except (Unfit, F0makeError) as error:
            fail(outcome, str(error))
        except OSError as error:
            fail(outcome, f"its outputs cannot be recorded: {error.strerror}: {_name(error, bundle)}")
            outcome.disk_full = error.errno in NO_ROOM

    def _store(self, directory: str, blobs: Kept, texts: dict[str, str], outcome: Outcome) -> None:
        """Keep every output; a cache that cannot take them is no fault of the step: only a message says so."""
        store = self._stores.get(directory)
        if store is None:
            store = self._stores[directory] = self._open(directory)
        try:
            for path, (token, data, mode) in blobs.items():
                if data is not None:
                    store.add_hashed(data, content_digest.blob_of(token), mode)
                else:
                    store.add(path, content_digest.blob_of(token))
            for text in texts.values():
                store.add_bytes(os.fsencode(text))
        except CacheUnusable as error:
            outcome.message = str(error)
        except BlobError as error:
            raise Unfit(f"{error} (something still writes to it after the command ended)") from None
        except OSError as error:
            # Outputs that lie in the workspace are whole; only the cache is full or broken.
            outcome.message = f"the cache {directory!r} cannot store: {error.strerror or error}"
            outcome.disk_full = error.errno in NO_ROOM and full(_existing(directory))
        else:
            outcome.stored = True


def _existing(directory: str) -> str:
    """The nearest directory above (or at) ``directory`` that exists."""
    while directory and not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory or "/"


def full(directory: str) -> bool:
    """Whether the file system of ``directory`` has no room left for another file (64 KiB, one inode)."""
    try:
        room = os.statvfs(directory)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 65536 or (room.f_files > 0 and room.f_favail == 0)


def fail(outcome: Outcome, message: str) -> None:
    """Turn ``outcome`` into a failure that has made nothing."""
    outcome.ok = False
    outcome.message = message
    outcome.outputs, outcome.trees, outcome.signatures = {}, {}, {}
    outcome.times, outcome.modes = {}, {}
    outcome.discovered, outcome.stored = [], False


def _depfile(bundle: Bundle, path: str) -> list[str]:
    from f0make.worker.depfile import DepfileError, prerequisites

    full_path = os.path.join(bundle.workspace, path)
    try:
        data = read_regular(full_path, DEPFILE)
    except OSError as error:
        reason = (
            "it did not write its depfile" if error.errno == errno.ENOENT else "its depfile cannot be read"
        )
        raise Unfit(
            f"{reason} {path!r}" + ("" if error.errno == errno.ENOENT else f": {error.strerror}")
        ) from None
    roots = tuple(dict.fromkeys((bundle.workspace, os.path.realpath(bundle.workspace))))
    try:
        found = prerequisites(data, roots, path)
    except DepfileError as error:
        raise Unfit(f"depfile {path!r} is not in Make's syntax: {error}") from None
    if all(path != output for output, _ in bundle.outputs):
        os.unlink(full_path)
    return found


def _one(
    bundle: Bundle,
    path: str,
    directory: bool,
    outcome: Outcome,
    blobs: Kept,
    texts: dict[str, str],
    mask: int,
) -> None:
    """Check and hash one output; what must be stored goes to ``blobs`` and ``texts`` (links)."""
    full_path = os.path.join(bundle.workspace, path)
    try:
        st = os.lstat(full_path)
    except (FileNotFoundError, NotADirectoryError):
        kind = "directory" if directory else "file"
        raise Unfit(f"it did not make its output {path!r} (a {kind})") from None
    mode = st.st_mode
    if directory:
        if not stat.S_ISDIR(mode):
            what = "a symlink" if stat.S_ISLNK(mode) else "no directory"
            raise Unfit(f"its output {path!r} is {what}, but the recipe declares a directory ({path}/)")
        tree = _tree(path, full_path, outcome, blobs, texts, mask)
        if bundle.not_empty and not tree:
            raise Unfit(f"its output directory {path!r} is empty (success.not_empty)")
        outcome.trees[path] = tree
        outcome.outputs[path] = content_digest.tree_token(tree)
        return
    if stat.S_ISDIR(mode):
        raise Unfit(f"its output {path!r} is a directory, but the recipe declares a file (write {path}/)")
    if stat.S_ISLNK(mode):
        outcome.outputs[path] = content_digest.link_token(full_path)
        texts[path] = os.readlink(full_path)
    elif stat.S_ISREG(mode):
        sig, token, clock, data = content_digest.read_stable(full_path, st)
        outcome.outputs[path] = token
        outcome.signatures[path] = (*sig, clock)
        outcome.times[path] = sig[1]
        kept = noted(sig[4], mask)
        if kept is not None:
            outcome.modes[path] = kept
        blobs[full_path] = (token, data, sig[4])
    else:
        raise content_digest.kind_error(path, mode)
    if bundle.not_empty and _size(full_path) == 0:
        raise Unfit(f"its output {path!r} is empty (success.not_empty)")


def _tree(
    path: str, root: str, outcome: Outcome, blobs: Kept, texts: dict[str, str], mask: int
) -> dict[str, str]:
    times: dict[str, int] = {}
    modes: dict[str, int] = {}

    def hash_file(found: str, st: os.stat_result) -> str:
        sig, token, clock, _ = content_digest.read_stable(found, st)
        inside = found[len(root) :]
        outcome.signatures[path + inside] = (*sig, clock)
        times[inside[1:]] = sig[1]
        mode = noted(sig[4], mask)
        if mode is not None:
            modes[inside[1:]] = mode
        blobs[found] = (token, None, sig[4])
        return token

    def visit(found: str, names: list[str]) -> None:
        mode = noted(os.lstat(found).st_mode, mask, directory=True)
        if mode is not None:
            modes[found[len(root) + 1 :]] = mode

    tree = content_digest.tree_entries(root, hash_file, visit)
    if times:
        outcome.times[path] = times
    if modes:
        outcome.modes[path] = modes
    for relative, token in tree.items():
        if token.startswith("@"):
            texts[relative] = os.readlink(os.path.join(root, relative))
    return tree


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _name(error: OSError, bundle: Bundle) -> str:
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else bundle.workspace
    return os.path.relpath(name, bundle.workspace) if name.startswith(bundle.workspace + "/") else name
