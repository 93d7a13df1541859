"""Where the log of an instance lies. Pure."""

from __future__ import annotations

import re

from f0make.files.sha import sha256

_OTHER = re.compile(r"[^A-Za-z0-9_.\-=,]")


def log_name(instance: str) -> str:
    """File name of an instance's log inside `.f0make/logs`: readable, safe and unique.

    Letters, digits and ``_.-=,`` stay; a digest of the whole name keeps different instances apart.
    """
    plain = _OTHER.sub("_", instance[:80])
    return f"{plain}.{sha256(instance.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}.log"
