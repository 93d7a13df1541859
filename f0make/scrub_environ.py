"""Taking variables out of this process's environment, also out of what `/proc/PID/environ` shows of it.

That shows the memory in which the kernel put the environment at the start, whatever became of it; a step could read f0make's
credentials there, and those of every process that was forked from it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ENV_START = 49
"""Which field of /proc/self/stat, from 0, says where the environment begins; proc_pid_stat(5) counts from 1."""


def scrub(names: Iterable[str]) -> dict[str, str]:
    """Remove the variables ``names``; what they were. Processes that are forked later never had them."""
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    if taken and os.path.exists("/proc/self/environ"):
        try:
            _overwrite({os.fsencode(name) for name in taken})
        except (OSError, ValueError, IndexError):
            pass  # no such system, or one that forbids it
    return taken


def _overwrite(names: set[bytes]) -> None:
    with open("/proc/self/environ", "rb", buffering=0) as file:
        data = b"".join(iter(lambda: file.read(1 << 20), b""))
    with open("/proc/self/stat", "rb", buffering=0) as file:
        start = int(file.read(4096).rpartition(b")")[2].split()[_ENV_START - 2])
    memory = os.open("/proc/self/mem", os.O_RDWR)
    try:
        place = 0
        for entry in data.split(b"\0"):
            if entry.partition(b"=")[0] in names and os.pread(memory, len(entry), start + place) == entry:
                os.pwrite(memory, b"x" * len(entry), start + place)
            place += len(entry) + 1
    finally:
        os.close(memory)
