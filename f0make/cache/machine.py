"""What the results of programs depend on beside their inputs: the machine that ran them. Part of what is sent to hosts."""

from __future__ import annotations

import os
import sys

_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


def machine() -> str:
    """System and architecture, such as ``linux x86_64``."""
    if hasattr(os, "uname"):
        found = os.uname().machine.lower()
    else:
        import platform

        found = platform.machine().lower()
    return f"{sys.platform} {_SAME.get(found, found)}"
