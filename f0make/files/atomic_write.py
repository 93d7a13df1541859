"""Files that change all at once: readers see the old content or the new one."""

from __future__ import annotations

import os
from io import FileIO


def write_atomic(path: str, data: bytes, mode: int = 0o600, directory: int | None = None) -> None:
    """Replace ``path`` by ``data`` through a temporary file beside it, for its owner only unless ``mode`` says else.

    ``directory``: a descriptor of the directory in which ``path`` is a name. Raises OSError.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with FileIO(_fresh(temporary, mode, directory), "wb") as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        os.replace(temporary, path, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        try:
            os.unlink(temporary, dir_fd=directory)
        except OSError:
            pass
        if error.filename is None:
            error.filename = path
        raise


def _fresh(path: str, mode: int, directory: int | None) -> int:
    """A new file at ``path``, whatever lay there before: a link is not followed. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, mode, dir_fd=directory)
    except FileExistsError:
        os.unlink(path, dir_fd=directory)
        return os.open(path, flags, mode, dir_fd=directory)
