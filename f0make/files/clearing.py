"""Clearing paths, making their parents, and taking the write permission away."""

from __future__ import annotations

import os
import stat

from f0make.files.digest import FileError


def remove(root: str, path: str) -> None:
    """Remove the file, symlink or tree at ``path``, read-only ones included; nothing there is fine.

    Symlinks are never followed. Raises FileError.
    """
    try:
        remove_path(os.path.join(root, path))
    except OSError as error:
        raise FileError(f"{error.filename or path!r} cannot be removed: {error.strerror}") from None


def blocking_parent(root: str, path: str) -> str | None:
    """The parent of ``path`` that is there and no directory (so that ``path`` cannot be made), or None."""
    parts = path.split("/")[:-1]
    for n in range(1, len(parts) + 1):
        parent = "/".join(parts[:n])
        full = os.path.join(root, parent)
        if not os.path.isdir(full):
            return parent if os.path.lexists(full) else None
    return None


def make_parents(root: str, path: str) -> None:
    """Make the directories above ``path``. Raises FileError naming what is in the way, OSError without space."""
    parent = os.path.dirname(os.path.join(root, path))
    if os.path.isdir(parent):
        return
    try:
        os.makedirs(parent, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        blocker = blocking_parent(root, path) or parent
        raise FileError(f"{blocker!r} is no directory, but {path!r} is to lie in it (move it away)") from None
    except PermissionError as error:
        raise FileError(f"{error.filename!r} cannot be made: {error.strerror}") from None


def prune(root: str, path: str, wanted: set[str]) -> None:
    """Remove the empty directories below ``path`` that are not in ``wanted`` (relative to it) nor above one.

    Raises FileError.
    """
    base = os.path.join(root, path)
    keep = {""}
    for relative in wanted:
        while relative not in keep:
            keep.add(relative)
            relative = os.path.dirname(relative)
    for directory, _, _ in os.walk(base, topdown=False):
        relative = "" if directory == base else os.path.relpath(directory, base)
        if relative not in keep:
            try:
                os.rmdir(directory)
            except OSError as error:
                raise FileError(f"{directory!r} cannot be removed: {error.strerror}") from None


def protect(path: str) -> None:
    """Take the write permission from the file ``path``, or from everything in the tree. Raises OSError."""
    st = os.lstat(path)
    if stat.S_ISDIR(st.st_mode):
        for directory, _, files in os.walk(path, topdown=False):
            for name in files:
                file = os.path.join(directory, name)
                if not os.path.islink(file):
                    _chmod_without_write(file)
            _chmod_without_write(directory)
    elif not stat.S_ISLNK(st.st_mode):
        _chmod_without_write(path)


def _chmod_without_write(path: str) -> None:
    mode = stat.S_IMODE(os.lstat(path).st_mode)
    if mode & 0o222:
        os.chmod(path, mode & ~0o222)


def remove_path(full: str) -> None:
    """Remove the file, symlink or tree at the absolute path ``full``. Raises OSError."""
    try:
        if not stat.S_ISDIR(os.lstat(full).st_mode):
            os.unlink(full)
            return
    except (FileNotFoundError, NotADirectoryError):
        return
    directories, pending = [], [full]
    while pending:
        directory = pending.pop()
        directories.append(directory)
        for entry in _entries(directory):
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            else:
                _unlink(entry.path)
    for directory in reversed(directories):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass


def _entries(directory: str) -> list[os.DirEntry[str]]:
    """What a directory holds, made writable and readable for its owner first where it is not."""
    try:
        mode = stat.S_IMODE(os.lstat(directory).st_mode)
        if mode & 0o700 != 0o700:
            os.chmod(directory, mode | 0o700)
        with os.scandir(directory) as listing:
            return list(listing)
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except PermissionError:
        if os.name != "nt":
            raise
        os.chmod(path, 0o700)
        os.unlink(path)
