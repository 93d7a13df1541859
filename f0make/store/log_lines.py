"""The line format of the logs in `.f0make`: `<8 hex CRC-32 of the rest> <type> <JSON>` and a newline.

JSON is written in ASCII, so a newline always ends a line and a damaged line costs itself only.
"""

from __future__ import annotations

import zlib

from f0make.ascii_json import dumper, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FORMAT = 2
"""Version of the line types; it stands in the first line of each log. Lines of format 1 name no recipe."""
HEADER = "header"
DAMAGED = ""
"""The type that `scan` gives to bytes that are no line."""

_START = rb"(?=[0-9a-f]{8} [a-z][a-z0-9_-]* )"
_dumps = dumper()


def encode(kind: str, payload: Any) -> bytes:
    """One whole line. ``kind`` is a lower-case word, ``payload`` anything JSON can hold."""
    body = f"{kind} {_dumps(payload)}".encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> tuple[str, Any] | None:
    """(type, payload) of one line, with or without its newline; None when it is damaged."""
    body = line[9:-1] if line.endswith(b"\n") else line[9:]
    if line[8:9] != b" " or b"%08x" % zlib.crc32(body) != line[:8]:
        return None
    kind, _, text = body.partition(b" ")
    try:
        return kind.decode("ascii"), loads(text)
    except (ValueError, RecursionError):
        return None


def scan(data: bytes, offset: int = 0) -> Iterator[tuple[int, str, Any]]:
    """(offset, type, payload) of each line in ``data``, whose first byte has ``offset`` in its file.

    Damaged bytes come as one item of type `DAMAGED` for each line, before what could be saved of that line:
    a whole line whose predecessor lost its newline.
    """
    start, end = 0, len(data)
    while start < end:
        stop = data.find(b"\n", start) + 1 or end
        line = data[start:stop]
        found = decode(line)
        if found is not None:
            yield offset + start, found[0], found[1]
        else:
            yield offset + start, DAMAGED, None
            import re

            for inside in re.compile(_START).finditer(line, 1):
                saved = decode(line[inside.start() :])
                if saved is not None:
                    yield offset + start + inside.start(), saved[0], saved[1]
                    break
        start = stop
