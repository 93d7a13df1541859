"""Files that change all at once: readers see the old content or the new one."""

from __future__ import annotations

import os
from io import FileIO

MARSHAL_VERSION = 4
"""The version that every supported Python reads and writes alike."""


def write_atomic(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data`` through a temporary file beside it, for its owner only unless ``mode`` says else.

    Raises OSError.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with FileIO(_fresh(temporary, mode), "wb") as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        os.replace(temporary, path)
    except OSError as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        if error.filename is None:
            error.filename = path
        raise


def _fresh(path: str, mode: int) -> int:
    """A new file at ``path``, whatever lay there before: a link is not followed. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, flags, mode)
