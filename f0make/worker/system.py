"""The system that f0make runs on: `linux` where it can, `portable` elsewhere; both have the same functions."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING or sys.platform == "linux":
    from f0make.worker.linux import (
        REAPER,
        SIGNALS,
        Facts,
        IoCounter,
        boot,
        everyone,
        facts,
        holds,
        kill,
        marked,
        no_children,
        now,
        oom_kills,
        own_peak,
        private_cwd,
        reset_peak,
        set_reaper,
        tree_memory,
        wait_exit,
        watch,
        writes_into,
    )
else:
    from f0make.worker.portable import (
        REAPER,
        SIGNALS,
        Facts,
        IoCounter,
        boot,
        everyone,
        facts,
        holds,
        kill,
        marked,
        no_children,
        now,
        oom_kills,
        own_peak,
        private_cwd,
        reset_peak,
        set_reaper,
        tree_memory,
        wait_exit,
        watch,
        writes_into,
    )

__all__ = [
    "REAPER",
    "SIGNALS",
    "Facts",
    "IoCounter",
    "boot",
    "everyone",
    "facts",
    "holds",
    "kill",
    "marked",
    "no_children",
    "now",
    "oom_kills",
    "own_peak",
    "private_cwd",
    "reset_peak",
    "set_reaper",
    "tree_memory",
    "wait_exit",
    "watch",
    "writes_into",
]
