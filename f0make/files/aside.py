"""Moving what lies at a path out of the way; nothing is ever overwritten there."""

from __future__ import annotations

import errno
import itertools
import os
import stat

from f0make.files.clearing import remove_path
from f0make.files.digest import FileError
from f0make.files.sha import sha256

DISPLACED = ".f0make/displaced"
FAILED = ".f0make/failed"


def displace(root: str, path: str, run_id: str) -> str:
    """Move what lies at ``path`` to `.f0make/displaced/<run_id>/<path>`: the new place relative to ``root``.

    "" when nothing was there. A place that is taken gets a numeric suffix. Raises FileError.
    """
    return _aside(root, path, f"{DISPLACED}/{run_id}")


def fail_aside(root: str, path: str, run_id: str) -> str:
    """The same for an output of a failed step, to `.f0make/failed/<run_id>/<path>`."""
    return _aside(root, path, f"{FAILED}/{run_id}")


def _aside(root: str, path: str, base: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or path in ("", "."):
        raise ValueError(f"{path!r} does not lie inside the workspace")
    source = os.path.join(root, path)
    if not os.path.lexists(source):
        return ""
    try:
        place = _free_place(root, base, path)
        _move(source, os.path.join(root, place))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise FileError(f"{path!r} cannot be moved to {base!r}: {error.strerror}") from error
        place = _free_place(root, base, sha256(os.fsencode(path)).hexdigest()[:16])
        _move(source, os.path.join(root, place))
    return place


def _free_place(root: str, base: str, path: str) -> str:
    """A place below ``base`` named after ``path`` where nothing lies; its parents are made."""
    place = base
    os.makedirs(os.path.join(root, base), exist_ok=True)
    *parents, last = path.split("/")
    for name in parents:
        for candidate in _names(name):
            full = os.path.join(root, place, candidate)
            try:
                os.mkdir(full)
            except FileExistsError:
                if os.path.islink(full) or not os.path.isdir(full):
                    continue
            place = f"{place}/{candidate}"
            break
    for candidate in _names(last):
        if not os.path.lexists(os.path.join(root, place, candidate)):
            place = f"{place}/{candidate}"
            break
    return place


def _names(name: str) -> itertools.chain[str]:
    return itertools.chain((name,), (f"{name}.{n}" for n in itertools.count(1)))


def _move(source: str, target: str) -> None:
    """Rename, or copy and remove where ``target`` is on another file system. Raises OSError."""
    st = os.lstat(source)
    locked = stat.S_ISDIR(st.st_mode) and not st.st_mode & 0o200
    if locked:
        # Renaming a directory writes its `..` entry, which needs write permission on the directory itself.
        os.chmod(source, stat.S_IMODE(st.st_mode) | 0o700)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        import shutil

        unfinished = target + ".part"
        remove_path(unfinished)
        if stat.S_ISDIR(st.st_mode):
            shutil.copytree(source, unfinished, symlinks=True)
        else:
            shutil.copy2(source, unfinished, follow_symlinks=False)
        os.rename(unfinished, target)
        remove_path(source)
    if locked:
        os.chmod(target, stat.S_IMODE(st.st_mode))
