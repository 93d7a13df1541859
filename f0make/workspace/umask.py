"""The umask of this process. Standard library only, and readable by Python 3.9."""

from __future__ import annotations

import os


def current() -> int:
    """The umask, read without changing it for a moment where the system says it (other threads make files)."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    mask = os.umask(0)
    os.umask(mask)
    return mask
