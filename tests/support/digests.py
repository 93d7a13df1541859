"""Texts as what stands in a record for keys and contents: 64 hexadecimal digits."""

from __future__ import annotations

import hashlib


def sha(text: str) -> str:
    """SHA-256 of ``text``."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
