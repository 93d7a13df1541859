"""Starting the agent through whatever shell the host's login gives: POSIX sh, then python3, then the zip.

A login shell may print a greeting; everything before a line with an unforeseeable mark is passed over.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Protocol

from f0make.backends.ssh.check_answers import line
from f0make.backends.ssh.foothold import STAGE


class NotStarted(Exception):
    """The agent cannot be started; the text says why and what to do, ``kind`` in one word."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Line(Protocol):
    """A connection to the shell's standard input and output."""

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        ...

    def receive(self, timeout: float) -> bytes:
        """What has arrived, waiting for it; b"" at the end. Raises TimeoutError."""
        ...

    def complaint(self) -> str:
        """What was said on standard error, its last line."""
        ...


def command(mark: str, workdir: str, digest: str, size: int) -> str:
    """The command to run: every login shell understands it (no ``!``, no backslash, no newline)."""
    given = json.dumps({"mark": mark, "workdir": workdir, "digest": digest, "size": size})
    about = base64.b64encode(given.encode("ascii")).decode("ascii")
    code = base64.b64encode(STAGE.encode("ascii")).decode("ascii")
    # Nothing is imported from the directory where the login ends, nor from where variables of the host lead.
    start = "import sys;sys.path.pop(0);import base64;exec(base64.b64decode(sys.argv[1]))"
    return (
        f"exec sh -c 'command -v python3 >/dev/null 2>&1 || {{ echo; echo {mark} nopython; exit 0; }}; "
        f'exec python3 -E -s -X utf8 -c "{start}" {code} {about}\''
    )


def begin(
    line: Line,
    mark: str,
    host: str,
    archive: bytes,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> bytes:
    """Talk to the text of `command` until the agent runs; what has arrived after its last line.

    Raises NotStarted, and TimeoutError when nothing comes for ``seconds``.
    """
    seen = b""
    while True:
        about, seen = _next(line, mark.encode("ascii"), seen, seconds, clock, host)
        state = about.get("state")
        if state == "ready":
            return seen
        if state != "send":
            raise NotStarted(str(state), _explain(host, about))
        line.send(archive)


def _next(
    line: Line, mark: bytes, seen: bytes, seconds: float, clock: Callable[[], float], host: str
) -> tuple[dict[str, str], bytes]:
    until = clock() + seconds
    while True:
        at = seen.find(b"\n" + mark + b" ")
        end = seen.find(b"\n", at + 1) if at >= 0 else -1
        if end >= 0:
            text = seen[at + len(mark) + 2 : end]
            if text.strip() == b"nopython":
                return {"state": "nopython"}, b""
            return _about(text, host), seen[end + 1 :]
        left = until - clock()
        data = line.receive(left) if left > 0 else None
        if data is None:
            raise TimeoutError
        if not data:
            said = line.complaint()
            raise NotStarted(
                "shell", f"{host}: its shell did not start f0make's agent" + (f": {said}" if said else "")
            )
        seen = (seen + data)[-(1 << 20) :]


def _about(text: bytes, host: str) -> dict[str, str]:
    """What the text of `command` says in one line. Raises NotStarted when something else speaks."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise NotStarted("shell", f"{host}: its shell did not start f0make's agent")
    return {name: line(value) for name, value in found.items()}


def _explain(host: str, about: dict[str, str]) -> str:
    state, path = about.get("state"), about.get("path")
    if state == "nopython":
        return f"{host}: there is no python3 in its PATH (install Python 3.9 or newer there)"
    if state == "old":
        return f"{host}: its python3 is Python {about.get('python')}, f0make needs 3.9 or newer (install it there as python3)"
    if state == "full":
        return f"{host}: the disk of {path} is full (make room, or set workdir to another directory)"
    if state == "unsafe":
        return (
            f"{host}: {path} {about.get('reason')}, so nothing there can be trusted "
            "(set workdir to a directory of your own)"
        )
    if state == "unusable":
        return (
            f"{host}: {path} cannot be written to: {about.get('reason')} (set workdir to another directory)"
        )
    return f"{host}: f0make's agent arrived damaged at {path}"
