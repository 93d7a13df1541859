"""The no-op run: one file read, every file's stat compared, done. Imports built-in modules only."""

from __future__ import annotations

import os
import sys
import time

from f0make import STATE
from f0make.cli.arguments import scan
from f0make.files.open_regular import open_regular
from f0make.store import snapshot, state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def look(argv: Sequence[str]) -> snapshot.Look | bool:
    """True: there was nothing to do and that has been said. A look: what is not as the last run left it.

    False: only the full way can tell. Another run that holds the workspace is its business, too. With a look
    comes the workspace's lock, held since before.
    """
    began = time.perf_counter()
    found = scan(argv)
    if found is None:
        return False
    values = found[1]
    request = snapshot.request_of(values)
    if request is None:
        return False
    try:
        here = os.getcwd() if values.get("workspace") else None
    except FileNotFoundError:  # deleted; the full way goes by a descriptor
        return False
    lock = -1
    try:
        if here is not None:
            os.chdir(values["workspace"])
        if not values.get("trust") and state_dir.foreign_path("."):
            return False
        lock = _try_lock()
        seen = snapshot.look(request) if lock >= 0 else None
        if seen is None:
            return False
        if seen.nothing_to_do and not values.get("verbose"):
            events = snapshot.events_of(seen.kept) if values.get("json") else ""
            if events is not None:
                if values.get("debug"):
                    _say_way()
                _report(seen.kept, events, values, time.perf_counter() - began)
                return True
        seen.lock, lock = lock, -1
        return seen
    except OSError:
        return False
    finally:
        if lock >= 0:
            os.close(lock)
        if here is not None:
            os.chdir(here)


def _try_lock() -> int:
    """The workspace's lock while we look, -1 when another process has it or it does not exist yet."""
    try:
        import fcntl
    except ImportError:
        return -1
    fd = open_regular(os.path.join(STATE, "lock"), os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    if state_dir.has_leftovers("."):
        os.close(fd)
        return -1
    return fd


def _say_way() -> None:
    from f0make.incremental.eligibility import no_op

    sys.stderr.write(f"f0make: {no_op()}\n")


def _report(kept: dict[str, Any], events: str, values: dict[str, Any], seconds: float) -> None:
    counts = kept["counts"]
    current, skipped = counts["current"], counts["skipped"]
    saved_seconds, saved_energy = kept["saved"]
    tail = (
        f'"status": "ok", "ran": 0, "restored": 0, "current": {current}, "failed": 0, '
        f'"skipped": {skipped}, "cancelled": 0, "seconds": {seconds:.3f}, "cpu_seconds": 0.0, "peak_mem": 0, '
        f'"read": 0, "written": 0, "saved_seconds": {saved_seconds}, "saved_energy_kwh": {saved_energy}'
    )
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    recipe, known_as = _quoted(kept["recipe"]), _quoted(kept["known_as"])
    _note_run(
        f'{{"event": "summary", {tail}, "run": "{run}", "recipe": {known_as}, "started": {time.time():.3f}}}'
    )
    if values.get("json"):
        jobs = values.get("jobs") or len(os.sched_getaffinity(0))
        start = f'{{"event": "start", "recipe": {recipe}, "run": "{run}", "instances": {current + skipped}, "jobs": {jobs}}}'
        lines = [start, events, f'{{"event": "summary", {tail}}}']
        sys.stdout.write("\n".join(filter(None, lines)) + "\n")
        sys.stdout.flush()
    elif not values.get("quiet"):
        more = f", {skipped} skipped" if skipped else ""
        sys.stderr.write(f"f0make: nothing to do: {current} current{more} in {seconds:.2f} s\n")
    sys.stderr.flush()


def _quoted(text: str) -> str:
    """``text`` as JSON; plain names without importing json."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    from json import dumps

    return dumps(text)


def _note_run(payload: str) -> None:
    """Append to the history (format: docs/design.md); a history that cannot be written stops no run."""
    body = f"run {payload}".encode("ascii", "backslashreplace")
    try:
        fd = open_regular(os.path.join(STATE, "runs.log"), os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, b"%08x %s\n" % (_crc32(body), body))
        finally:
            os.close(fd)
    except OSError:
        pass


_NIBBLES = (
    *(0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C),
    *(0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C),
)


def _crc32(data: bytes) -> int:
    """What `zlib.crc32` gives: a line's checksum takes less time than loading that module, where it is a library."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        crc = (crc >> 4) ^ _NIBBLES[crc & 15]
        crc = (crc >> 4) ^ _NIBBLES[crc & 15]
    return crc ^ 0xFFFFFFFF
