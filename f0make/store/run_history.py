"""The history of runs: one line for each in `.f0make/runs.log`."""

from __future__ import annotations

import os

from f0make.files.open_regular import open_regular
from f0make.store import log_lines, state_dir
from f0make.store.validate_record import valid_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_NAME = "runs.log"
_CHUNK = 1 << 20
MOST_LINE = 64 << 20
"""Bytes of a line beyond which nothing more is read: half a million instances take so many."""


def append_run(workspace: str, event: dict[str, Any]) -> None:
    """Append one run. Raises OSError (no space, read-only); what was there before stays readable.

    A line that a crash left unfinished is closed first, so it costs itself only.
    """
    path = state_dir.path_of(workspace, _NAME)
    fd = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(fd).st_size
        data = log_lines.encode("run", event)
        if size == 0:
            data = log_lines.encode(log_lines.HEADER, {"format": log_lines.FORMAT}) + data
        elif os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def read_runs(workspace: str, damage: list[str] | None = None) -> list[dict[str, Any]]:
    """All runs that can be read, as `each_run` gives them."""
    return list(each_run(workspace, damage))


def each_run(workspace: str, damage: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The runs that can be read, oldest first, one at a time; ``damage`` receives a message when some cannot.

    Raises StateError when a newer f0make wrote the history.
    """
    path = state_dir.path_of(workspace, _NAME)
    lost = 0
    for block in _blocks(path):
        for _, kind, payload in log_lines.scan(block):
            if kind == log_lines.DAMAGED:
                lost += 1
            elif kind == log_lines.HEADER:
                check_format(path, payload)
            elif kind == "run" and valid_run(payload):
                yield payload
            elif kind == "run":
                lost += 1
    if lost and damage is not None:
        damage.append(f"{path}: {lost} damaged line{'s' if lost > 1 else ''} left out")


def _blocks(path: str) -> Iterator[bytes]:
    """The file's bytes, each block whole lines; the last may lack its newline. Nothing of what cannot be read."""
    try:
        fd = open_regular(path)
    except OSError:
        return
    rest = b""
    try:
        while data := os.read(fd, max(_CHUNK, len(rest))):
            rest += data
            end = rest.rfind(b"\n") + 1
            if end:
                yield rest[:end]
                rest = rest[end:]
            elif len(rest) > MOST_LINE:
                rest = b"a line that is too long"
                break
    except OSError:
        pass
    finally:
        os.close(fd)
    if rest:
        yield rest


def check_format(path: str, header: Any) -> int:
    """The format that ``header`` names; an odd one counts as this f0make's. Raises StateError for a newer one."""
    found = header.get("format") if isinstance(header, dict) else None
    if isinstance(found, int) and found > log_lines.FORMAT:
        from f0make.errors import StateError

        raise StateError(
            f"{path} was written by a newer f0make (format {found}, this one reads up to {log_lines.FORMAT}); "
            "use that version, or remove .f0make to start afresh"
        )
    return found if isinstance(found, int) else log_lines.FORMAT
