"""Small files that are caches of something else: marshal behind a checksum, replaced atomically."""

from __future__ import annotations

import marshal
import zlib
from io import FileIO

from f0make.files.atomic import MARSHAL_VERSION, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["read", "seal", "unseal", "write_atomic"]


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


def read(path: str) -> bytes | None:
    """The bytes of ``path``, or None when it cannot be read."""
    try:
        with FileIO(path, "rb") as file:
            return file.readall()
    except OSError:
        return None
