"""Where the log of an instance lies. Pure."""

from __future__ import annotations

from hashlib import sha256


def log_name(instance: str) -> str:
    """File name of an instance's log inside `.f0make/logs`: readable, safe and unique.

    Letters, digits and ``_.-=,`` stay; a digest of the whole name keeps different instances apart.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "_.-=,") else "_" for c in instance)[:80]
    return f"{plain}.{sha256(instance.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}.log"
