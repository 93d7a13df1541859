"""Small files that are caches of something else: marshal behind a keyed digest, replaced atomically.

Marshal crashes the interpreter on bytes that are none, and what it gives is believed: nothing is unpacked before its digest,
which needs the user's key, was found right.
"""

from __future__ import annotations

import marshal
import os
from io import FileIO

from f0make.files import user_key
from f0make.files.open_regular import open_regular

try:
    from _blake2 import blake2b
except ImportError:  # hashlib has it, too, and loads OpenSSL for that
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["blake2b", "open_regular", "read", "seal", "unseal"]

MARSHAL_VERSION = 4
"""The version of marshal that every supported Python reads and writes alike."""
MOST_BYTES = 4 << 30
"""Bytes of a file that is read whole."""
_PIECE = 1 << 20
_DIGEST = 16
"""Bytes of the digest of a file."""
MARK = 8
"""Bytes of the digest of a part."""


def possible() -> bool:
    """Whether anything can be sealed here. Makes the user's key where there is none yet."""
    return user_key.key(create=True) is not None


def seal(magic: bytes, value: Any) -> bytes:
    """``value`` (plain built-in types) as bytes that begin with ``magic`` and a keyed digest; only if `possible`."""
    try:
        body = marshal.dumps(value, MARSHAL_VERSION)
    except ValueError:  # the types are plain ones: marshal says so, too, when there is no memory left
        raise MemoryError from None
    return magic + _digest(magic, body, _DIGEST) + body


def unseal(magic: bytes, data: bytes) -> Any:
    """What `seal` was given; None when ``data`` is of another kind, damaged, or sealed by another user."""
    start = len(magic) + _DIGEST
    if data[: len(magic)] != magic or len(data) <= start or user_key.key() is None:
        return None
    body = memoryview(data)[start:]
    if _digest(magic, body, _DIGEST) != data[len(magic) : start]:
        return None
    try:
        return marshal.loads(body)
    except (ValueError, EOFError, TypeError):
        return None


def mark(data: bytes | memoryview) -> int:
    """A keyed digest of ``data``, to be kept in what is sealed: 64 bits."""
    return int.from_bytes(_digest(b"", data, MARK), "little")


def marks(parts: list[bytes]) -> bytes:
    """`mark` of each of ``parts``, as an array of `Q` has them on this machine."""
    from array import array

    return array("Q", map(mark, parts)).tobytes()


def read(path: str, most: int = MOST_BYTES) -> bytes | None:
    """The bytes of the file ``path``; None when it cannot be read, is no regular file or has more than ``most`` bytes."""
    try:
        with FileIO(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                return None
            # Not `most` at once: it would be allocated, and more than some may have (`ulimit -v`).
            data = file.read(size + 1)
            while data and len(data) <= most and (more := file.read(min(most + 1 - len(data), _PIECE))):
                data += more
    except OSError:
        return None
    return data if data is None or len(data) <= most else None


def _digest(magic: bytes, data: bytes | memoryview, size: int) -> bytes:
    found = blake2b(magic, digest_size=size, key=user_key.key() or b"")
    found.update(data)
    return found.digest()
