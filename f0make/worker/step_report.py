"""What a python step's processes say over their pipe, as far as it is the step's to say. Pure.

The step can write there what it likes, so nothing here is believed but what it could bring about anyway: how it
came out, which values it read and wrote, which code it used. Whatever does not have that form is an error of the step.
"""

from __future__ import annotations

from f0make.ascii_json import loads
from f0make.fast_dataclass import dataclass, field
from f0make.store.validate_record import valid_exit_code, wrong_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 64 << 20
"""Bytes that a step may say."""
MOST_CODE = 50_000
"""Files and names that are taken as discovered."""
_LONGEST_PATH = 4096


class BadReport(Exception):
    """What came over the pipe is no report; the text says what is wrong with it."""


@dataclass(slots=True)
class Report:
    """How the step's function ended."""

    returned: int | None = None
    exited: int | None = None
    """The code that it gave to `sys.exit`."""
    error: str = ""
    errno: int = 0
    reads: dict[str, Any] = field(default_factory=dict)
    missing_reads: list[str] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    python: str = ""
    """The version of its interpreter, as ``3.11``."""


class Listener:
    """Takes the lines of the pipe (see `worker.runtime.channel`)."""

    def __init__(self) -> None:
        self.returned = False
        """The step's function has ended; what is left is the end of its process."""
        self.stuck = ""
        """What keeps the process from ending, as it says itself."""
        self.code: dict[str, None] = {}
        """Absolute paths of files that were used as code."""
        self.absent: dict[str, None] = {}
        """Absolute paths at which modules were looked for in vain."""
        self._report: Report | None = None
        self._bad = ""
        self._rest = b""
        self._parts: dict[bytes, list[bytes]] = {}
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._size += len(data)
        if self._size > LARGEST:
            self._bad, self._rest = f"it says more than {LARGEST >> 20} MB", b""
            self._parts.clear()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            fields = line.split(b" ", 3)
            if len(fields) == 4:
                self._line(fields[0] + fields[1], fields[1], fields[2] == b".", fields[3])

    def report(self) -> Report | None:
        """What the step came to, None when it has not said so. Raises BadReport."""
        if self._bad:
            raise BadReport(self._bad)
        return self._report

    def _line(self, whose: bytes, kind: bytes, last: bool, text: bytes) -> None:
        parts = self._parts.setdefault(whose, [])
        parts.append(text)
        if not last:
            return
        del self._parts[whose]
        if kind == b"T":
            self.returned = True
            return
        try:
            value = loads(b"".join(parts))
            if kind == b"R":
                self._report = report_of(value)
            elif kind == b"C":
                self._code(value)
            elif kind == b"S":
                self.stuck = _text(value)[:500]
        except (ValueError, RecursionError, BadReport) as error:
            self._bad = str(error) if isinstance(error, BadReport) else "it is no JSON"

    def _code(self, value: Any) -> None:
        path = _text(value[0]) if isinstance(value, list) and 0 < len(value) <= 2 else ""
        if not path.startswith("/") or "\0" in path or len(path) > _LONGEST_PATH:
            raise BadReport("a path of code has another form")
        found = self.absent if len(value) == 2 else self.code
        if len(found) < MOST_CODE:
            found[path] = None


def report_of(value: Any) -> Report:
    """``value`` as a report. Raises BadReport when it has another form."""
    if not isinstance(value, dict):
        raise BadReport("it is no map")
    report = Report(
        returned=_number(value.get("returned")),
        exited=_number(value.get("exited")),
        error=_text(value.get("error", "")),
        errno=_number(value.get("errno", 0)) or 0,
        reads=value.get("reads", {}),
        missing_reads=value.get("missing_reads", []),
        writes=value.get("writes", []),
        python=_version(value.get("python", "")),
    )
    if (report.returned is None) + (report.exited is None) + (not report.error) != 2:
        raise BadReport("it says nothing, or more than one thing, of how the step ended")
    wrong = wrong_context(report.reads, report.missing_reads, report.writes)
    if wrong:
        raise BadReport(f"its {wrong} have another form")
    return report


def _number(value: Any) -> int | None:
    if valid_exit_code(value):
        return None if value is None else int(value)
    raise BadReport("a number has another form")


def _version(value: Any) -> str:
    text = _text(value)
    if text and not (text[:2] == "3." and len(text) < 6 and text.isascii() and text[2:].isdecimal()):
        raise BadReport("the version of its Python has another form")
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise BadReport("a text has another form")
