"""The directory `.f0make` of a workspace: made on demand, ignored by git."""

from __future__ import annotations

import os
import sys
import time

from f0make import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.errors import StateError

_WITHIN = ("", "cache")
"""Directories of the state that hold a few names, each of which must be what f0make makes there itself."""
_FILES = frozenset(
    (
        *("lock", "records.log", "records.idx", "runs.log", "signatures", "steps", "code", ".gitignore"),
        *("in-use", "usage.log"),
    )
)
_DIRECTORIES = frozenset(
    ("cache", "logs", "run", "snapshots", "failed", "displaced", "engine", "exchange", "cas", "tmp", "ac")
)
_HOLLOW = 1 << 30
"""Bytes of a file of which next to nothing is on the disk: none that f0make wrote."""


def path_of(workspace: str, *names: str) -> str:
    """The path of ``names`` inside the workspace's state directory."""
    return os.path.join(workspace, STATE, *names)


def unusable(workspace: str, error: OSError) -> StateError:
    """The error for a state directory in which ``error`` happened."""
    place = os.path.abspath(path_of(workspace))
    detail = f" ({error.filename})" if error.filename and os.fspath(error.filename) != place else ""
    from f0make.errors import StateError

    return StateError(
        f"{place} cannot be used: {error.strerror or error}{detail}; f0make keeps its state there"
    )


def check(workspace: str) -> None:
    """Refuse a state directory that holds links: f0make makes none there, and would write to what they lead to.

    The directory itself may be a link, to one that belongs to whom the link belongs to. Raises UsageError.
    """
    place = path_of(workspace)
    try:
        if os.path.islink(place) and os.stat(place).st_uid not in (os.geteuid(), os.lstat(place).st_uid):
            _refuse(place, "a link to somebody else's directory")
        for name in _WITHIN:
            with os.scandir(os.path.join(place, name)) as listing:
                for entry in listing:
                    if entry.is_symlink() and not (name == "" and entry.name == "cache"):
                        _refuse(entry.path, "a symbolic link")
        root = os.path.join(place, "cache")
        if os.path.islink(root) and os.stat(root).st_uid not in (os.geteuid(), os.lstat(root).st_uid):
            _refuse(root, "a link to somebody else's directory")
    except (OSError, AttributeError):
        return  # What is not there holds no link; what cannot be read is told of by who needs it.


def _set_aside(place: str) -> list[str]:
    """Move away what is not of the kind that f0make makes under that name; a line for each. Raises OSError."""
    told = []
    for name in (*_WITHIN, "snapshots"):
        try:
            with os.scandir(os.path.join(place, name)) as listing:
                entries = list(listing)
        except OSError:
            continue
        for entry in entries:
            what = "" if entry.is_symlink() else _odd(entry, name == "snapshots" or entry.name in _FILES)
            if what:
                aside = f"{entry.path}.odd-{time.time_ns()}"
                os.rename(entry.path, aside)
                told.append(
                    f"{os.path.abspath(entry.path)} is {what}; it was moved to {os.path.basename(aside)}"
                )
    return told


def _odd(entry: os.DirEntry[str], a_file: bool) -> str:
    """What is wrong with ``entry``; nothing is with names that f0make does not know."""
    if ".odd-" in entry.name:
        return ""
    if entry.name in _DIRECTORIES and not a_file:
        return "" if entry.is_dir(follow_symlinks=False) else "no directory"
    if not a_file:
        return ""
    if not entry.is_file(follow_symlinks=False):
        return "no regular file"
    st = entry.stat(follow_symlinks=False)
    blocks = getattr(st, "st_blocks", st.st_size)
    return "a file of holes" if st.st_size > _HOLLOW and blocks * 512 < st.st_size >> 6 else ""


def _refuse(path: str, what: str) -> None:
    from f0make.errors import UsageError

    raise UsageError(
        f"{os.path.abspath(path)} is {what}; f0make follows none in its state, where it makes none: "
        "look at what brought it there, and remove it"
    )


def prepare(workspace: str) -> str:
    """Make `.f0make`, for its owner only, and its `.gitignore`; the directory's path.

    Raises StateError, and UsageError for links in it.
    """
    place = path_of(workspace)
    ignore = os.path.join(place, ".gitignore")
    check(workspace)
    try:
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            _tighten(place)
            for text in _set_aside(place):
                print(f"f0make: {text}", file=sys.stderr)
        if not os.path.lexists(ignore):
            fd = os.open(ignore, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(fd, b"*\n")
            finally:
                os.close(fd)
    except OSError as error:
        raise unusable(workspace, error) from None
    return place


def _tighten(place: str) -> None:
    """Take the rights of others away that an older f0make gave; a person who gives some to a group keeps that."""
    st = os.stat(place)
    if st.st_mode & 0o007 and not _foreign(st) and not os.path.islink(place):
        os.chmod(place, st.st_mode & 0o700)


def has_leftovers(workspace: str) -> bool:
    """Whether a run that was killed has left something to clean up, which is for the full way. Raises OSError."""
    run = os.path.join(workspace, STATE, "run")
    return os.path.isdir(run) and bool(os.listdir(run))


def foreign_path(workspace: str) -> str | None:
    """The path, ``workspace`` or its `.f0make`, that belongs to another user; None when both are this user's.

    root has what root has, and what the user has who became root with `sudo`. Raises OSError when there is no such
    workspace.
    """
    if _foreign(os.stat(workspace)):
        return workspace
    try:
        place = path_of(workspace)
        return place if _foreign(os.stat(place)) else None
    except OSError:
        return None


def check_owner(workspace: str, trust: bool) -> None:
    """Raise UsageError when the workspace or its state is another user's, unless the user has said to ``trust`` it."""
    try:
        found = None if trust else foreign_path(workspace)
    except OSError:
        return  # its use says what is wrong
    if found is not None:
        from f0make.errors import UsageError

        owner = os.stat(found).st_uid
        raise UsageError(
            f"{os.path.abspath(found)} belongs to another user (uid {owner}): what lies there could make f0make run "
            "or remove things in your name (--trust, if you trust that user)"
        )


def _foreign(st: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    me = os.geteuid()
    return st.st_uid != me and not (me == 0 and os.environ.get("SUDO_UID") == str(st.st_uid))
