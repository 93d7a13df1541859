"""Small files that are caches of something else: marshal behind a checksum, replaced atomically."""

from __future__ import annotations

import marshal
import zlib
from io import FileIO

from f0make.files.atomic import MARSHAL_VERSION, write_atomic
from f0make.files.regular import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["open_regular", "read", "seal", "unseal", "write_atomic"]

MOST_BYTES = 4 << 30
"""Bytes of a file that is read whole."""


def seal(magic: bytes, value: Any) -> bytes:
    """``value`` (plain built-in types) as bytes that begin with ``magic`` and a CRC-32 of the rest."""
    body = marshal.dumps(value, MARSHAL_VERSION)
    return magic + zlib.crc32(body).to_bytes(4, "big") + body


def unseal(magic: bytes, data: bytes) -> Any:
    """What `seal` was given; None when ``data`` is of another kind or damaged."""
    start = len(magic) + 4
    if data[: len(magic)] != magic or len(data) <= start:
        return None
    body = memoryview(data)[start:]
    if zlib.crc32(body) != int.from_bytes(data[len(magic) : start], "big"):
        return None
    try:
        return marshal.loads(body)
    except (ValueError, EOFError, TypeError):
        return None


def read(path: str, most: int = MOST_BYTES) -> bytes | None:
    """The bytes of the file ``path``; None when it cannot be read, is no regular file or has more than ``most`` bytes."""
    try:
        with FileIO(open_regular(path), "rb") as file:
            data = file.read(most + 1)
            while data and len(data) <= most and (more := file.read(most + 1 - len(data))):
                data += more
    except OSError:
        return None
    return data if data is None or len(data) <= most else None
