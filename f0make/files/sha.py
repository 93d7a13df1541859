"""SHA-256. A few kilobytes are hashed by Python's own code, whatever is more by `hashlib`.

`hashlib` loads OpenSSL, which takes two milliseconds, a sixth of Python's start; then it is ten times faster.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable

_OWN = ("_sha2", "_sha256")
"""Modules that Python has inside, from 3.12 on and before."""
_left = 64 << 10
"""Bytes that Python's own code may still hash; so many take half a millisecond."""


def _first() -> Callable[[bytes], hashlib._Hash]:
    for name in () if "hashlib" in sys.modules else _OWN:
        try:
            own: Callable[[bytes], hashlib._Hash] = __import__(name).sha256
        except ImportError:
            continue
        return own
    from hashlib import sha256

    return sha256


_make = _first()


def sha256(data: bytes = b"", more: int = 0) -> hashlib._Hash:
    """A hash object that has seen ``data``; about ``more`` bytes will follow."""
    global _left, _make
    if _left > 0:
        _left -= len(data) + more
        if _left <= 0:
            from hashlib import sha256 as _make
    return _make(data)
