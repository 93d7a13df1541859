"""`f0make cache`: how big the cache is and how often it helped, trimming it, checking it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from f0make import STATE
from f0make.errors import Exit, F0makeError, UsageError
from f0make.options import RunOptions

_BEYOND = {
    "cache stats": "how much a server holds cannot be asked for over HTTP; its own status page may say",
    "cache gc": "a server trims itself, as it was set up to",
    "cache verify": "a server's blobs cannot be listed over HTTP; each is verified when it is fetched",
}
"""Why a verb cannot do its work on a server."""
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Do `cache stats`, `cache gc` or `cache verify`."""
    if options.cache is not None and "://" in options.cache:
        raise UsageError(
            f"--cache {options.cache}: {_BEYOND[name]} (leave --cache out for this workspace's own)"
        )
    directory = options.cache or os.path.join(STATE, "cache")
    if not os.path.isdir(directory):
        if options.cache:
            raise UsageError(f"--cache {directory}: there is no such directory")
        print("f0make: there is no cache yet", file=sys.stderr)
    try:
        return {"cache stats": _stats, "cache gc": _gc, "cache verify": _verify}[name](directory, extras)
    except OSError as error:
        if error.filename is None:  # not about a file of the cache
            raise
        raise F0makeError(f"{error.filename}: {error.strerror}") from None


def human(size: float) -> str:
    """``size`` bytes as a person reads them, in powers of 1000 as `--size` takes them."""
    unit = 0
    while size >= 999.95 and unit < len(UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.1f} {UNITS[unit]}" if unit else f"{size:.0f} B"


def _stats(directory: str, extras: dict[str, Any]) -> int:
    from f0make.cache.maintenance import stats

    found = stats(directory)
    if extras.get("json"):
        print(json.dumps(found))
        return 0
    rate = "unknown" if found["hit_rate"] is None else f"{100 * found['hit_rate']:.0f} %"
    print(f"directory  {found['directory']}")
    print(f"blobs      {found['blobs']}")
    print(f"size       {human(found['bytes'])} ({found['bytes']} bytes)")
    print(f"hits       {found['hits']}")
    print(f"misses     {found['misses']}")
    print(f"hit rate   {rate}")
    return 0


def _gc(directory: str, extras: dict[str, Any]) -> int:
    from f0make.cache.maintenance import gc

    found = gc(directory, extras["size"])
    if extras.get("json"):
        print(json.dumps(found))
        return 0
    print(
        f"removed {found['removed']} blobs ({human(found['freed'])}), kept {found['kept']} ({human(found['bytes'])})"
    )
    if found["busy"]:
        print("f0make: a run uses this cache; what it may need was kept", file=sys.stderr)
    return 0


def _verify(directory: str, extras: dict[str, Any]) -> int:
    from f0make.cache.maintenance import stats, verify

    count = stats(directory)["blobs"]
    damaged = verify(directory)
    if extras.get("json"):
        print(json.dumps({"blobs": count, "corrupt": damaged}))
    else:
        for path in damaged:
            print(f"corrupt, removed: {path}")
        print(f"{count} blobs checked, {len(damaged)} corrupt")
    return int(Exit.FAILED) if damaged else 0
