"""Files that change all at once: readers see the old content or the new one."""

from __future__ import annotations

import marshal
import os
from io import FileIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARSHAL_VERSION = 4
"""The version that every supported Python reads and writes alike."""


def write_atomic(path: str, data: bytes) -> None:
    """Replace ``path`` by ``data`` through a temporary file beside it. Raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with FileIO(temporary, "wb") as file:
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


def write_marshal(path: str, value: Any) -> None:
    """Replace ``path`` by ``value`` (plain built-in types) in marshal's format. Raises OSError."""
    write_atomic(path, marshal.dumps(value, MARSHAL_VERSION))
