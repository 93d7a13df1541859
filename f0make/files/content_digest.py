"""Contents as tokens: hashing files, symlinks and directory trees."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import FileIO

from f0make.errors import F0makeError
from f0make.files import signature
from f0make.files.sha import sha256
from f0make.files.signature import Signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

EMPTY_DIR = "/"
"""Token of an empty directory inside a tree."""

_BUFFER = 1 << 20
_WORTH_A_TICK = 4 << 20
"""Bytes; reading more than this takes longer than waiting for the clock to move on (about 4 ms)."""
_ATTEMPTS = 3
LARGE = 8 << 20
"""Bytes from which a file is worth a thread of its own to hash it: about 5 ms."""
SMALL = 64 << 10
"""Bytes; a file up to this size is read at once, and its bytes can be kept for storing them."""
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)


class FileError(F0makeError, OSError):
    """A path that cannot be read, moved or made, or that is neither file, directory nor symlink."""


def file_digest(path: str, size: int = _BUFFER) -> str:
    """SHA-256 (hex) of the bytes of ``path``; ``size`` is the expected size. Raises OSError."""
    digest = sha256(more=size)
    buffer = bytearray(min(max(size + 1, 4096), _BUFFER))
    view = memoryview(buffer)
    fd = os.open(path, _READ)
    with FileIO(fd, "rb") as file:
        while got := file.readinto(buffer):
            digest.update(view[:got])
    return digest.hexdigest()


def file_token(path: str, st: os.stat_result) -> str:
    """Token of the regular file ``path`` whose `lstat` is ``st``. Raises OSError."""
    return file_digest(path, st.st_size) + ("x" if st.st_mode & 0o100 else "")


def _small_file(path: str, st: os.stat_result) -> tuple[str, bytes] | None:
    """(token, bytes) of a small file with the `lstat` ``st``, None when it is not (any more) as long as that."""
    fd = os.open(path, _READ)
    try:
        data = os.read(fd, st.st_size + 1)
    finally:
        os.close(fd)
    if len(data) != st.st_size:
        return None
    return sha256(data).hexdigest() + ("x" if st.st_mode & 0o100 else ""), data


def read_stable(path: str, before: os.stat_result | None = None) -> tuple[Signature, str, int, bytes | None]:
    """Hash the regular file ``path``: (signature, token, clock in ns taken before, its bytes if there are few).

    ``before`` is an `lstat` of it, if there has been one. That the clock is read after it does no harm: what was
    written in between is read, and nothing written later can leave the signature as it is.

    A file that changes while it is read is read again; when it never holds still the clock is 0, with
    which no signature is ever trusted. Large files wait for the next clock tick rather than being read
    twice. Raises OSError.
    """
    clock = signature.clock_ns()
    if before is None:
        before = os.lstat(path)
    token = ""
    for _ in range(_ATTEMPTS):
        if signature.exact(before.st_dev):
            clock = signature.FOREVER
        elif before.st_size > _WORTH_A_TICK and signature.is_racy(signature.of(before), clock):
            signature.wait_for_tick(before.st_ctime_ns)
            clock, before = signature.clock_ns(), os.lstat(path)
        if not stat.S_ISREG(before.st_mode):
            raise FileNotFoundError(2, "no longer a regular file", path)
        small = _small_file(path, before) if before.st_size <= SMALL else None
        token = small[0] if small is not None else file_token(path, before)
        again, after = signature.clock_ns(), os.lstat(path)
        sig = signature.of(before)
        if signature.of(after) == sig:
            return sig, token, clock, small[1] if small is not None else None
        clock, before = again, after
    return signature.of(before), token, 0, None


def link_digest(text: str) -> str:
    """SHA-256 (hex) of a symlink's target text."""
    return sha256(os.fsencode(text)).hexdigest()


def link_token(path: str) -> str:
    """Token of the symlink ``path`` itself: its target text is all that counts. Raises OSError."""
    return "@" + link_digest(os.readlink(path))


def link_entry(path: str, relative: str) -> str | dict[str, str]:
    """What a symlink in a directory of results comes to: its text. Raises OSError."""
    return link_token(path)


OnLink: TypeAlias = "Callable[[str, str], str | dict[str, str]]"
"""(full path, path relative to the tree) of a symlink -> its token, or the entries that stand in its place."""


def blob_of(token: str) -> str:
    """The SHA-256 of the blob that ``token`` (of a file or a symlink) stands for."""
    return token[1:65] if token.startswith("@") else token[:64]


def blobs_of(token: str, tree: dict[str, str] | None) -> list[str]:
    """The digests of all blobs that restoring an output needs."""
    tokens = [token] if tree is None else list(tree.values())
    return [blob_of(t) for t in tokens if t != EMPTY_DIR]


def tree_token(entries: dict[str, str]) -> str:
    """Token of a directory with ``entries`` (relative path -> token); the order of the dict does not matter."""
    digest = sha256()
    for name, token in sorted((os.fsencode(rel), token) for rel, token in entries.items()):
        digest.update(name + b"\0" + token.encode("ascii") + b"\n")
    return digest.hexdigest() + "/"


def kind_error(path: str, mode: int) -> FileError:
    """The error for a path that is neither file, directory nor symlink."""
    kind = next(
        (
            name
            for name, test in (
                ("a named pipe", stat.S_ISFIFO),
                ("a socket", stat.S_ISSOCK),
                ("a character device", stat.S_ISCHR),
                ("a block device", stat.S_ISBLK),
            )
            if test(mode)
        ),
        "a special file",
    )
    return FileError(
        f"{path!r} is {kind}: only files, directories and symlinks have contents that can be recorded"
    )


def read_error(path: str, error: OSError) -> FileError:
    """The error for a path that is there but cannot be read."""
    return FileError(f"{path!r} cannot be read: {error.strerror or error} (check its permissions)")


def _enter(found: dict[str, str], name: str, entry: str | dict[str, str]) -> None:
    """Put what a link comes to into ``found`` at ``name``."""
    if isinstance(entry, str):
        found[name] = entry
    elif entry:
        found.update((f"{name}/{relative}", token) for relative, token in entry.items())
    else:
        found[name] = EMPTY_DIR


def tree_entries(
    root: str,
    hash_file: Callable[[str, os.stat_result], str | None],
    visit: Callable[[str, list[str]], None] | None = None,
    link: OnLink = link_entry,
) -> dict[str, str]:
    """Everything below the directory ``root``: relative path -> token, sorted.

    ``link`` says what symlinks come to; none is followed here.

    ``hash_file(path, st)`` gives a regular file's token (None: it has just vanished); ``visit(path, names)``
    hears of each directory after it was listed. Raises FileError for what is no file, directory or symlink
    or cannot be read, FileNotFoundError or NotADirectoryError when ``root`` is no directory.
    """
    found: dict[str, str] = {}
    prefix = len(root) + 1
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as listing:
                entries = list(listing)
        except (FileNotFoundError, NotADirectoryError):
            if directory == root:
                raise
            continue
        except OSError as error:
            raise read_error(directory, error) from None
        if visit is not None:
            visit(directory, [e.name for e in entries])
        if not entries and directory != root:
            found[directory[prefix:]] = EMPTY_DIR
        for entry in entries:
            path = entry.path
            try:
                st = entry.stat(follow_symlinks=False)
                mode = st.st_mode
                if stat.S_ISREG(mode):
                    token = hash_file(path, st)
                    if token is not None:
                        found[path[prefix:]] = token
                elif stat.S_ISDIR(mode):
                    pending.append(path)
                elif stat.S_ISLNK(mode):
                    _enter(found, path[prefix:], link(path, path[prefix:]))
                else:
                    raise kind_error(path, mode)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except FileError:
                raise
            except OSError as error:
                raise read_error(path, error) from None
    return dict(sorted(found.items()))
