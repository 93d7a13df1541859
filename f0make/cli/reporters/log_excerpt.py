"""What a person sees of a step's log."""

from __future__ import annotations

import os

from f0make.files.open_regular import open_regular

TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_MOST_BYTES = 8 << 20
"""Of a log that is shown as a whole: a person reads no more, and a step may have printed gigabytes."""


def tail(path: str, lines: int | None = TAIL_LINES) -> tuple[list[str], bool]:
    """The last ``lines`` lines of the file (None: up to 8 MiB of them), and whether there are more before them.

    No lines when it cannot be read. Bytes that are no UTF-8 come as surrogates.
    """
    try:
        with open(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - (_MOST_BYTES if lines is None else _TAIL_BYTES))
            file.seek(start)
            data = file.read()
    except OSError:
        return [], False
    found = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    if found and not found[-1]:
        found.pop()
    if start and found:
        found = found[1:] or found  # the first one is cut
    if lines is None:
        return found, bool(start)
    return found[-lines:], bool(start) or len(found) > lines


def excerpt(instance: str, path: str, lines: int | None = TAIL_LINES) -> list[str]:
    """`tail` with a heading; empty when there is nothing to show."""
    found, more = tail(path, lines)
    if not found:
        return []
    where = f" (its end; all of it: {path})" if more else ""
    return [f"--- log of {instance}{where}", *found, "---"]
